"""Evaluation of classifiers: metrics, baselines and plots."""

from han.evaluation.measures import Evaluation, baselines, comparison, evaluate

__all__ = ["Evaluation", "baselines", "comparison", "evaluate"]
