"""Explanations of predictions: scores of words and sentences."""
