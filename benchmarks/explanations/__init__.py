"""How faithful explanations are, and the picture in the README."""
