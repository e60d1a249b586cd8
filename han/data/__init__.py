"""Documents and labels in Python: checks, containers, labels of any kind, splits."""
