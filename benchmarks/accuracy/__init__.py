"""Accuracy beside other methods, on documents with one label and with several."""
