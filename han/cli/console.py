"""Options, error handling and messages shared by the commands."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from han.saving.functions import FUNCTIONS

if TYPE_CHECKING:
    from han.classifier import HANClassifier

Function = TypeVar("Function", bound=Callable[..., Any])


def _set_debug(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj["debug"] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_debug,
    help="Print a traceback if an error occurs.",
)
quiet_option = click.option("--quiet", is_flag=True, help="Do not print progress.")


class LocalPath(click.Path):
    """A path on this machine: `~` is expanded, and URLs are rejected."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, checked according to the options of `click.Path`."""
        from han.files.paths import local_path

        name = "path" if param is None else param.opts[0]
        try:
            path = local_path(name if name.startswith("-") else name.upper(), value)
        except (TypeError, ValueError) as error:
            raise click.UsageError(str(error), ctx) from error
        return super().convert(os.fspath(path), param, ctx)


model_argument = click.argument("model", type=LocalPath())
# The exit codes of shells after SIGINT and SIGTERM.
INTERRUPTED, TERMINATED = 130, 143
# The parameters that `source_options` adds to a command and that `load_dataset` accepts.
SOURCE_ARGUMENTS = (
    "text", "label", "label_separator", "input_format", "delimiter", "encoding", "header", "quoting", "skip_bad_rows",
)  # fmt: skip


def splitter_options(command: Function) -> Function:
    """Add options for the functions that a classifier was trained with."""
    for name in reversed(FUNCTIONS):
        help_text = f"The {name} that the classifier was trained with, if not the default."
        command = click.option(f"--{name.replace('_', '-')}", name, metavar="MODULE:FUNCTION", help=help_text)(command)
    return command


text_option = click.option(
    "--text",
    multiple=True,
    default=["text"],
    show_default=True,
    help="Text column. Repeat the option to join several columns with blank lines.",
)


def source_options(command: Function) -> Function:
    """Add options for reading labelled documents, `SOURCE_ARGUMENTS`."""
    separator = click.option("--label-separator", metavar="TEXT", help="Separator between the labels of a document.")
    label = click.option("--label", default="label", show_default=True, help="Label column.")
    formats = ["csv", "tsv", "jsonl", "json", "xlsx", "parquet"]
    input_format = click.option("--input-format", type=click.Choice(formats), help="[default: from the file name]")
    return text_option(label(separator(input_format(table_options(command)))))


def check_source(sources: tuple[str, ...], arguments: dict[str, Any], argument: str = "source") -> None:
    """Check files and columns, given `SOURCE_ARGUMENTS`, before the libraries are imported that read documents."""
    from han.tables.options import TableOptions
    from han.tables.sources import SourceReader, check_sources

    options = {name: value for name, value in arguments.items() if name not in ("text", "label", "label_separator")}
    reader = SourceReader(
        [*arguments["text"]], arguments["label"], arguments["label_separator"], TableOptions(**options)
    )
    reader.check(check_sources(sources, argument))


def table_options(command: Function) -> Function:
    """Add options for reading tables, which are named like the attributes of `TableOptions`."""
    quoting = (
        'Use of quotes in CSV and TSV: "minimal" (around cells, and doubled within them), "none" (as ordinary '
        'characters) or "backslash" (around cells, and escaped within them).'
    )
    options = (
        click.option("--delimiter", metavar="TEXT", help="Character between the cells of CSV and TSV."),
        click.option("--encoding", metavar="TEXT", help="Encoding of files, such as cp1251.  [default: utf-8]"),
        click.option(
            "--no-header",
            "header",
            is_flag=True,
            flag_value=False,
            default=True,
            help="The table has no header; columns are named 0, 1 and so on.",
        ),
        click.option("--quoting", type=click.Choice(["minimal", "none", "backslash"]), help=quoting),
        click.option("--skip-bad-rows", is_flag=True, help="Skip rows that cannot be read, and count them."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def load_classifier(model: Path, splitters: dict[str, Any]) -> HANClassifier:
    """Load a classifier, with the functions named by the options of `splitter_options`."""
    functions = {name: import_function(name, value) for name, value in splitters.items() if value is not None}
    from han.saving.layout import read_settings

    read_settings(model)  # raises the errors that do not need TensorFlow, before that is imported
    from han.classifier import HANClassifier

    return HANClassifier.load(model, **functions)


def import_function(name: str, value: str) -> Any:
    """Import the function "module:function", where the module may be in the current folder."""
    module, colon, path = value.partition(":")
    if not (module and colon and path):
        raise ValueError(f"{name} must be MODULE:FUNCTION, got {value!r}")
    folder = os.getcwd()  # noqa: PTH109 - as an entry of sys.path
    if folder not in sys.path:
        sys.path.insert(0, folder)
    function: Any = importlib.import_module(module)
    for part in path.split("."):
        if not hasattr(function, part):
            raise ValueError(f"{name} must be MODULE:FUNCTION, got {value!r}, but {module} has no {part}")
        function = getattr(function, part)
    return function


def uses_color() -> bool | None:
    """Return whether to colour the output, by NO_COLOR, CLICOLOR and CLICOLOR_FORCE; None if standard output decides.

    See https://no-color.org and https://bixense.com/clicolors.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return False if os.environ.get("CLICOLOR") == "0" else None


def terminal_columns(most: int = 100) -> int:
    """Return the width of the terminal, or `most` if that is less: longer lines are hard to read."""
    return min(shutil.get_terminal_size().columns, most)


def announce_standard_input(expected: str) -> None:
    """Say what a command waits for if standard input is a terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        end = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D"
        click.echo(f"type {expected}, and end it with {end} on a line of its own:", err=True)


def find_class(name: str, classes: list[Any]) -> Any:
    """Return the class whose string representation is `name`; `name` itself if there is none."""
    return next((label for label in classes if str(label) == name), name)


def print_progress(message: str, quiet: bool) -> None:
    """Print a message on standard error unless `quiet` is set."""
    if not quiet:
        click.echo(message, err=True)


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Return a function, to be called regularly, that raises a KeyboardInterrupt if Ctrl-C was pressed.

    Python raises the exception immediately, but if it happens to be in one of its own callbacks, for example while
    importing a module, the exception is printed and discarded. Processes that ignore Ctrl-C, such as background jobs of
    shells, continue to ignore it.
    """
    interrupted = False

    def interrupt(_signal: int, _frame: Any) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def check() -> None:
        if interrupted:
            raise KeyboardInterrupt

    previous = signal.getsignal(signal.SIGINT)
    if previous is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def handle_sigterm(state: dict[str, bool]) -> Iterator[None]:
    """Treat SIGTERM, which `docker stop` sends, like Ctrl-C, and set "terminated" in the state.

    SIGTERM keeps its meaning in processes that ignore Ctrl-C, such as background jobs of shells, and in threads other
    than the main thread.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def interrupt(_signal: int, _frame: Any) -> None:
        state["terminated"] = True
        signal.raise_signal(signal.SIGINT)

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def is_terminated() -> bool:
    """Return whether the current command has received SIGTERM."""
    state = click.get_current_context().find_root().obj
    return bool(state) and state["terminated"]


@contextmanager
def print_warnings() -> Iterator[None]:
    """Print each warning as a line on standard error, without its location in the code."""

    def show(message: Warning | str, *_location: Any, **_options: Any) -> None:
        click.echo(f"han: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


@contextmanager
def usage_errors(types: tuple[type[Exception], ...] = (OSError, ValueError, TypeError, ImportError)) -> Iterator[None]:
    """Convert errors of these types to usage errors: a line on standard error and exit code 2."""
    try:
        yield
    except types as error:
        raise click.UsageError(" ".join(str(error).split())) from error
