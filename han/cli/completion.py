"""`han completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from han.cli.console import debug_option


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@debug_option
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script with which SHELL completes han's commands, options and files.

    \b
    Examples:
      eval "$(han completion bash)"                  # in ~/.bashrc
      han completion fish > ~/.config/fish/completions/han.fish
    """  # noqa: D301
    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(completion_class(context.find_root().command, {}, "han", "_HAN_COMPLETE").source())
