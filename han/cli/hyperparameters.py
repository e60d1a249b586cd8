"""The hyper-parameters of `HANClassifier` as options and in configuration files.

Their names, defaults and descriptions are read from the source of the class: importing it would take seconds, for
which `han train --help` would have to wait.
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

from han.cli.console import SPLITTERS, imported

SOURCE = Path(__file__).parents[1] / "classifier.py"
# Set by other options, or of no use for a single fit.
LEFT_OUT = ("verbose", "warm_start")


class Hyperparameter(NamedTuple):
    """A parameter of the class.

    Attributes
    ----------
    name : str
    kind : str
        Its type, as the docstring has it.
    default : object
    description : str
    """

    name: str
    kind: str
    default: Any
    description: str


@cache
def hyperparameters() -> dict[str, Hyperparameter]:
    """Return the parameters of `HANClassifier`, in the order of its signature."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    class_ = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "HANClassifier")
    init = next(node for node in class_.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    described = _descriptions(ast.get_docstring(class_) or "")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    defaults = {argument.arg: ast.literal_eval(default) for argument, default in pairs if default is not None}
    return {
        name: Hyperparameter(name, *described[name][:1], default, described[name][1])
        for name, default in defaults.items()
        if name not in LEFT_OUT
    }


def _descriptions(docstring: str) -> dict[str, tuple[str, str]]:
    """Return the type and the description of each parameter in a numpydoc docstring."""
    section = inspect.cleandoc(docstring).split("Parameters\n----------\n")[1].split("\n\n")[0]
    entries = re.findall(r"^(\w[\w, ]*) : (.+)\n((?:    .*(?:\n|$))*)", section + "\n", flags=re.MULTILINE)
    return {
        name: (re.sub(r", default .*", "", kind), " ".join(text.split()))
        for names, kind, text in entries
        for name in names.split(", ")
    }


class CommandWithHyperparameters(click.Command):
    """A command whose help lists the hyper-parameters apart from its other options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in two sections."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Hyper-parameters": []}
        for parameter in self.get_params(ctx):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
            if record is not None:
                sections["Hyper-parameters" if parameter.name in hyperparameters() else "Options"].append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def hyperparameter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each hyper-parameter; one that is not given is None."""
    for parameter in reversed(hyperparameters().values()):
        flag = parameter.name.replace("_", "-")
        sentence = re.split(r"(?<=\.)\s(?=[A-Z])", parameter.description)[0].rstrip(".").replace("`", "")
        default = str(parameter.default).lower() if isinstance(parameter.default, bool | None) else parameter.default
        text = f"{sentence}.  [default: {default}]"
        if isinstance(parameter.default, bool):
            option = click.option(f"--{flag}/--no-{flag}", parameter.name, default=None, help=text)
        else:
            option = click.option(f"--{flag}", parameter.name, metavar=_metavar(parameter), help=text)
        command = option(command)
    return command


def _metavar(parameter: Hyperparameter) -> str:
    if parameter.name in SPLITTERS:
        return "MODULE:FUNCTION"
    if parameter.name == "embeddings":
        return "FILE|glove-50d|word2vec"
    choices = re.match(r"\{(.*)\}$", parameter.kind)
    if choices:
        return "|".join(choice.strip().strip('"') for choice in choices[1].split(","))
    kinds = re.findall(r'"\w+"|\bint\b|\bfloat\b|\bdict\b|\bNone\b|\bstr\b', parameter.kind)
    spelled = {"dict": "JSON", "str": "TEXT", "None": "none"}
    return "|".join(spelled.get(kind, kind.strip('"') if kind[0] == '"' else kind.upper()) for kind in kinds)


def chosen(config: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters that a configuration file and the options set; options overrule the file.

    Raises
    ------
    OSError, ValueError, ImportError
        If the file cannot be read, is neither TOML nor YAML, or holds something else than hyper-parameters; or if a
        function cannot be imported.
    """
    settings = {} if config is None else _read(config)
    settings |= {name: _parsed(name, value) for name, value in given.items() if value is not None}
    return {name: imported(name, value) if name in SPLITTERS and value else value for name, value in settings.items()}


def _parsed(name: str, value: Any) -> Any:
    """Return what a text stands for: a number, a JSON object, nothing, or the text itself."""
    if not isinstance(value, str):
        return value
    if value.lower() == "none":
        return None
    if name in ("embeddings", "language", *SPLITTERS):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _read(config: Path) -> dict[str, Any]:
    suffix = config.suffix.lower()
    if suffix == ".toml":
        try:
            content: Any = tomllib.loads(config.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{config} must hold TOML: {error}") from error
    elif suffix in (".yaml", ".yml"):
        content = _read_yaml(config)
    else:
        raise ValueError(f"config must end in .toml, .yaml or .yml, got {str(config)!r}")
    if not isinstance(content, dict):
        raise ValueError(f"{config} must hold names and values, got {content!r}")
    settings = {str(name).replace("-", "_"): value for name, value in content.items()}
    unknown = [name for name in settings if name not in hyperparameters()]
    if unknown:
        raise ValueError(f"{config} must hold hyper-parameters (han train --help lists them), got {unknown[0]!r}")
    # TOML has no null, and to YAML 1e-3 is a text.
    return {name: _parsed(name, value) for name, value in settings.items()}


def _read_yaml(config: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            "a configuration in YAML needs PyYAML; install it with: pip install 'han-classifier[yaml]'"
        ) from error
    try:
        return yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{config} must hold YAML: {error}") from error
