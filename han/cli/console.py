"""What the commands share: options, refusals, messages."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

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
    help="Show a traceback of an error.",
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress on standard error.")


class LocalPath(click.Path):
    """A path on this machine: `~` is expanded, and a URL is refused."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, checked as the options of `click.Path` say."""
        from han.files.paths import local_path

        name = "path" if param is None else param.opts[0]
        try:
            path = local_path(name if name.startswith("-") else name.upper(), value)
        except (TypeError, ValueError) as error:
            raise click.UsageError(str(error), ctx) from error
        return super().convert(os.fspath(path), param, ctx)


model_argument = click.argument("model", type=LocalPath())
# The exit codes that shells use after SIGINT and SIGTERM.
INTERRUPTED, TERMINATED = 130, 143
SPLITTERS = ("sentence_splitter", "tokenizer")
# What `source_options` gives a command, and what `load_dataset` takes.
SOURCE_ARGUMENTS = (
    "text", "label", "label_separator", "input_format", "delimiter", "encoding", "header", "quoting", "skip_bad_rows",
)  # fmt: skip


def splitter_options(command: Function) -> Function:
    """Add the options that name the functions a classifier was trained with."""
    for name in reversed(SPLITTERS):
        text = f"The classifier's {name}, if it was trained with one."
        command = click.option(f"--{name.replace('_', '-')}", name, metavar="MODULE:FUNCTION", help=text)(command)
    return command


text_option = click.option(
    "--text",
    multiple=True,
    default=["text"],
    show_default=True,
    help="Column that holds the documents; given more than once, they are joined by a blank line.",
)


def source_options(command: Function) -> Function:
    """Add the options that say how files hold documents and their classes: `SOURCE_ARGUMENTS`."""
    separator = click.option("--label-separator", metavar="TEXT", help="What stands between the classes of a document.")
    label = click.option("--label", default="label", show_default=True, help="Column that holds the classes.")
    formats = ["csv", "tsv", "jsonl", "json", "xlsx", "parquet"]
    form = click.option("--input-format", type=click.Choice(formats), help="[default: by the name of a file]")
    return text_option(label(separator(form(table_options(command)))))


def table_options(command: Function) -> Function:
    """Add the options that say how tables are read; they are called as the attributes of `TableOptions`."""
    quoting = "What quotes in CSV and TSV are: around cells and doubled in them, text, or escaped by a backslash."
    options = (
        click.option("--delimiter", metavar="TEXT", help="What stands between cells of CSV and TSV."),
        click.option("--encoding", metavar="TEXT", help="Encoding of files, such as cp1251.  [default: utf-8]"),
        click.option(
            "--no-header",
            "header",
            is_flag=True,
            flag_value=False,
            default=True,
            help="Columns have numbers, from 0, for names.",
        ),
        click.option("--quoting", type=click.Choice(["minimal", "none", "backslash"]), help=quoting),
        click.option("--skip-bad-rows", is_flag=True, help="Skip rows that cannot be read, and count them."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def load(model: Path, splitters: dict[str, Any]) -> HANClassifier:
    """Read a classifier, with the functions that the options of `splitter_options` name."""
    functions = {name: imported(name, value) for name, value in splitters.items() if value is not None}
    from han.classifier import HANClassifier

    return HANClassifier.load(model, **functions)


def imported(name: str, value: str) -> Any:
    """Return the function that "module:function" names; modules in the current folder can be named too."""
    module, colon, path = value.partition(":")
    if not (module and colon and path):
        raise ValueError(f"{name} must be MODULE:FUNCTION, got {value!r}")
    folder = os.getcwd()  # noqa: PTH109 - as an entry of sys.path
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{name} must be MODULE:FUNCTION, got {value!r}, but {module} has no {part}")
        found = getattr(found, part)
    return found


def class_named(name: str, classes: list[Any]) -> Any:
    """Return the class that is written like this; the name itself if there is none."""
    return next((label for label in classes if str(label) == name), name)


def note(message: str, quiet: bool) -> None:
    """Say something on standard error."""
    if not quiet:
        click.echo(message, err=True)


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Give a function that raises a KeyboardInterrupt if there was Ctrl-C; to be called now and then.

    Python raises it at once, but wherever it happens to be: where that is a callback of its own, while it imports a
    module say, the exception is printed and gone. A process that was started to ignore Ctrl-C, as shells do
    with what runs in the background, goes on ignoring it.
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
def terminable(state: dict[str, bool]) -> Iterator[None]:
    """Treat SIGTERM, which `docker stop` sends, like Ctrl-C, and set "terminated" in the state.

    Where Ctrl-C is ignored, as in the background of a shell, and in other threads than the main one, it stays as it is.
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
    """Tell whether the current command has been sent a SIGTERM."""
    state = click.get_current_context().find_root().obj
    return bool(state) and state["terminated"]


@contextmanager
def warnings_told() -> Iterator[None]:
    """Write each warning as a line on standard error, without the place in the code that it comes from."""

    def tell(message: Warning | str, *_where: Any, **_more: Any) -> None:
        click.echo(f"han: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = tell
        yield


@contextmanager
def refusals(kinds: tuple[type[Exception], ...] = (OSError, ValueError, TypeError, ImportError)) -> Iterator[None]:
    """Turn errors of use, by their kinds, into a line on standard error and exit code 2."""
    try:
        yield
    except kinds as error:
        raise click.UsageError(" ".join(str(error).split())) from error
