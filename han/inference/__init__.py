"""Inference with a trained network, in this process or in a helper process."""
