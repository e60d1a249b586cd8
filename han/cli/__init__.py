"""The command line program `han`."""

from __future__ import annotations

import gc
import io
import sys
import traceback
from difflib import get_close_matches
from typing import Any

import click

from han import __version__
from han.cli.completion import completion
from han.cli.console import INTERRUPTED, TERMINATED, handle_sigterm, print_warnings
from han.cli.evaluate import evaluate
from han.cli.explain import explain
from han.cli.inspect import export, info
from han.cli.predict import predict
from han.cli.train import train

__all__ = ["cli", "main"]

# Of new objects between two runs of Python's garbage collector. With the default, 700, it takes a fifth of the time
# that a command needs to import libraries and to trace graphs, whose objects all stay.
COLLECT_AFTER = 100_000


class _Commands(click.Group):
    """Commands, with a suggestion for a name that is not one of them."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Return the command, or raise an error that names the closest one."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            suggestion = f", did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}{suggestion or '; see han --help'}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="han")
def cli() -> None:
    """Classify documents of any length with a hierarchical attention network.

    Results are written to standard output, progress and errors to standard error. The exit code is 0 on success, 1
    after a failure, 2 for invalid arguments or input, 130 after Ctrl-C, and 143 after SIGTERM.
    """


for command in (train, evaluate, predict, explain, info, export, completion):
    cli.add_command(command)


def main() -> None:
    """Run the command line program. Errors are printed on one line, preceded by a traceback with --debug."""
    gc.set_threshold(COLLECT_AFTER)
    state = {"debug": False, "terminated": False}
    if isinstance(sys.stdout, io.TextIOWrapper):  # escape characters that the terminal cannot display
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with print_warnings(), handle_sigterm(state):
            code = cli(standalone_mode=False, obj=state)
    except click.Abort:
        click.echo("han: terminated" if state["terminated"] else "han: interrupted", err=True)
        sys.exit(TERMINATED if state["terminated"] else INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if state["debug"]:
            traceback.print_exception(error)
        if isinstance(error, click.ClickException):
            click.echo(f"han: {error.format_message()}", err=True)
            sys.exit(error.exit_code)
        message = " ".join(f"{type(error).__name__}: {error}".split())
        click.echo(f"han: {message} (use --debug for a traceback)", err=True)
        sys.exit(1)
    if code:
        sys.exit(code)
