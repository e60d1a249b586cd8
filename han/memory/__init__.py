"""How much memory there is, and how work is divided to fit."""
