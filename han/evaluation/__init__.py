"""Evaluation of classifiers: metrics, baselines, reports and plots."""

from han.evaluation.measures import Evaluation, baselines, comparison, evaluate
from han.evaluation.report import Report

__all__ = ["Evaluation", "Report", "baselines", "comparison", "evaluate"]
