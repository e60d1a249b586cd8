"""Fitted classifiers on disk, and exports for other programs."""
