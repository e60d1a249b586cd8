"""Saving and loading of fitted classifiers, and export for other programs."""
