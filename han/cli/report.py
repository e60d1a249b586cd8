"""The report that `han train` and `han evaluate` write."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from han.cli.console import terminal_columns

if TYPE_CHECKING:
    from han.evaluation.report import Report

REPORT = "report.html", "report.json"


def print_conclusions(report: Report) -> None:
    """Print what the comparison says, in lines that fit the terminal."""
    columns = terminal_columns()
    for sentence in report.conclusions():
        click.echo("\n" + textwrap.fill(sentence, columns, break_long_words=False, break_on_hyphens=False))


def write_report(report: Report, folder: Path) -> None:
    """Write a report to a folder, as a page and as data."""
    from han.files.atomic import replacing

    for name, content in zip(REPORT, (report.to_html(), report.to_json()), strict=True):
        with replacing(folder / name) as stream:
            stream.write(content.encode("utf-8", "replace"))
