"""Hyper-parameters of `HANClassifier` as command-line options and in configuration files.

Names, defaults and descriptions are parsed from the source code of the class, because importing it would delay
`han train --help` by seconds.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import click

from han.cli.console import import_function
from han.exceptions import missing_extra
from han.saving.functions import FUNCTIONS

SOURCE = Path(__file__).parents[1] / "classifier.py"
# Set by another option, or without effect in a single fit.
EXCLUDED = ("verbose", "warm_start")


class Hyperparameter(NamedTuple):
    """A parameter of the class.

    Attributes
    ----------
    name : str
    type : str
        The type in the docstring.
    default : object
    description : str
    """

    name: str
    type: str
    default: Any
    description: str


@cache
def hyperparameters() -> dict[str, Hyperparameter]:
    """Return the parameters of `HANClassifier`, in the order of its signature."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    class_ = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "HANClassifier")
    init = next(node for node in class_.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    documented = _parse_docstring(ast.get_docstring(class_) or "")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    defaults = {argument.arg: ast.literal_eval(default) for argument, default in pairs if default is not None}
    return {
        name: Hyperparameter(name, documented[name][0], default, documented[name][1])
        for name, default in defaults.items()
        if name not in EXCLUDED
    }


def _parse_docstring(docstring: str) -> dict[str, tuple[str, str]]:
    """Return the type and the description of each parameter in a numpydoc docstring."""
    section = inspect.cleandoc(docstring).split("Parameters\n----------\n")[1].split("\n\n")[0]
    entries = re.findall(r"^(\w[\w, ]*) : (.+)\n((?:    .*(?:\n|$))*)", section + "\n", flags=re.MULTILINE)
    return {
        name: (re.sub(r", default .*", "", type_), " ".join(text.split()))
        for names, type_, text in entries
        for name in names.split(", ")
    }


# What most people need; `--help-all` shows the others, too.
FIRST = ("text", "label", "label_separator", "test", "refit", "output", "force", "epochs")


class CommandWithHyperparameters(click.Command):
    """A command with two pages of help: the options that matter first, and all of them."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters and the options for help."""
        return [*super().get_params(ctx), self._help_all()]

    def _help_all(self) -> click.Option:
        def show(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
            if value:
                ctx.meta["all options"] = True
                click.echo(ctx.get_help())
                ctx.exit()

        return click.Option(
            ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=show, help="Show all options."
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first options or, in two sections, all options."""
        if "all options" not in ctx.meta:
            options = {one.name: one for one in self.get_params(ctx) if isinstance(one, click.Option)}
            first = [options[name].get_help_record(ctx) for name in (*FIRST, "help_all")]
            with formatter.section("Options"):
                formatter.write_dl([record for record in first if record is not None])
            others = len(options) - len(first)
            with formatter.section(f"{others} more options, all hyper-parameters among them"):
                formatter.write_text("han train --help-all")
            return
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Hyper-parameters": []}
        for parameter in self.get_params(ctx):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
            if record is not None:
                sections["Hyper-parameters" if parameter.name in hyperparameters() else "Options"].append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def hyperparameter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each hyper-parameter; its value is None if it is not set."""
    for parameter in reversed(hyperparameters().values()):
        flag = parameter.name.replace("_", "-")
        sentence = re.split(r"(?<=\.)\s(?=[A-Z])", parameter.description)[0].rstrip(".").replace("`", "")
        default = str(parameter.default).lower() if isinstance(parameter.default, bool | None) else parameter.default
        help_text = f"{sentence}.  [default: {default}]"
        if isinstance(parameter.default, bool):
            option = click.option(f"--{flag}/--no-{flag}", parameter.name, default=None, help=help_text)
        else:
            option = click.option(f"--{flag}", parameter.name, metavar=_metavar(parameter), help=help_text)
        command = option(command)
    return command


def _metavar(parameter: Hyperparameter) -> str:
    if parameter.name in FUNCTIONS:
        return "MODULE:FUNCTION"
    if parameter.name == "embeddings":
        return "PATH|glove-50d|spacy-300d|word2vec"
    choices = re.match(r"\{(.*)\}$", parameter.type)
    if choices:
        return "|".join(choice.strip().strip('"') for choice in choices[1].split(","))
    types = re.findall(r'"\w+"|\bint\b|\bfloat\b|\bdict\b|\bNone\b|\bstr\b', parameter.type)
    names = {"dict": "JSON", "str": "TEXT", "None": "none"}
    return "|".join(names.get(type_, type_.strip('"') if type_[0] == '"' else type_.upper()) for type_ in types)


def read_hyperparameters(config: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters set in a configuration file or by options, which override the file.

    Raises
    ------
    OSError, ValueError, ImportError
        If the file cannot be read, is neither TOML nor YAML, or contains anything but hyper-parameters; if a value is
        invalid; or if a function cannot be imported.
    """
    settings = {} if config is None else _read_config(config)
    settings |= {name: _parse_value(name, value) for name, value in options.items() if value is not None}
    settings = {
        name: import_function(name, value) if name in FUNCTIONS and value else value for name, value in settings.items()
    }
    from han.hyperparameters import Hyperparameters, check_values

    rules = Hyperparameters.rules()
    return check_values(settings, {name: rules[name] for name in settings})


def _parse_value(name: str, value: Any) -> Any:
    """Convert a string to a number, an object or None if it is valid JSON or "none"."""
    if not isinstance(value, str):
        return value
    if value.lower() == "none":
        return None
    if name in ("embeddings", "language", *FUNCTIONS):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _read_config(config: Path) -> dict[str, Any]:
    suffix = config.suffix.lower()
    if suffix == ".toml":
        try:
            content: Any = tomllib.loads(config.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{config} must contain valid TOML: {error}") from error
    elif suffix in (".yaml", ".yml"):
        content = _read_yaml(config)
    else:
        raise ValueError(f"config must end in .toml, .yaml or .yml, got {str(config)!r}")
    if not isinstance(content, dict):
        raise ValueError(f"{config} must contain names and values, got {content!r}")
    settings = {str(name).replace("-", "_"): value for name, value in content.items()}
    unknown = [name for name in settings if name not in hyperparameters()]
    if unknown:
        raise ValueError(f"{config} must only contain hyper-parameters (see han train --help), got {unknown[0]!r}")
    # TOML has no null, and YAML reads 1e-3 as a string.
    return {name: _parse_value(name, value) for name, value in settings.items()}


def _read_yaml(config: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise missing_extra("a YAML configuration file", "pyyaml", "yaml") from error
    try:
        return yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{config} must contain valid YAML: {error}") from error
