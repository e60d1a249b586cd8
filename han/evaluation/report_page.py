"""A report as an HTML page: self-contained, for light and dark screens, phones and printers."""

from __future__ import annotations

import io
import re
from functools import cache
from typing import TYPE_CHECKING

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from han.evaluation.plots import reliability_figure, threshold_figure, training_curve
from han.explain.html import STYLE, VISIBLE, explanation_block, html_page

if TYPE_CHECKING:
    from han.evaluation.report import Report


def report_page(report: Report) -> str:
    """Return a report as a page."""
    return html_page(f"{report.name}: report", _body(report), _style())


def report_fragment(report: Report) -> str:
    """Return a report as an HTML element with its style, for a notebook."""
    return f"<style>{STYLE}{_style()}</style>{_body(report)}"


def _body(report: Report) -> str:
    evaluation = report.evaluation
    figures = {"reliability": reliability_figure(evaluation.reliability)}
    if "loss" in report.history:
        figures["training"] = training_curve(report.history, report.monitor)
    if evaluation.outcomes.targets.ndim == 2:
        figures["thresholds"] = threshold_figure(evaluation.outcomes.targets, evaluation.probabilities)
    return _template("report.html").render(
        report=report,
        evaluation=evaluation,
        classes=[str(name) for name in evaluation.per_class.index],
        figures={name: _html(svg(figure)) for name, figure in figures.items()},
        mistakes=[(listed, _html(explanation_block(explanation))) for listed, explanation in report.mistakes],
    )


def _html(element: str) -> Markup:
    """Mark what is HTML already: figures of matplotlib and heatmaps, which escape their text."""
    return Markup(element)  # noqa: S704


def _style() -> str:
    return _template("report.css").render()


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("han.evaluation"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.finalize = lambda value: value.translate(VISIBLE) if type(value) is str else value
    return environment.get_template(name)


def svg(figure: Figure) -> str:
    """Return a figure as an SVG element whose text and axes have the colour of the page's text."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "han"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    element = stream.getvalue()
    element = element[element.index("<svg") :]
    # Texts and lines are black, which some SVG attributes leave out as the default.
    element = re.sub(r"#000000|(?<=: )black", "currentColor", element)
    return element.replace("<svg ", '<svg role="img" fill="currentColor" ', 1)
