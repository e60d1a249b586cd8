"""Training: from labelled documents to a fitted, calibrated network."""
