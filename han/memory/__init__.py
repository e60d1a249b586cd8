"""Memory limits, and how training and prediction are divided to stay below them."""
