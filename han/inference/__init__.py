"""Predictions of a trained network, here or in a helper process."""
