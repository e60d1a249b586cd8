"""Benchmarks: accuracy, explanations, speed and robustness. `python -m benchmarks` lists them."""
