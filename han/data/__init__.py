"""Documents and labels passed in Python: containers, validation, label encoding and splits."""
