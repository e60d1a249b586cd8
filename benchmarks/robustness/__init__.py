"""Killed processes, damaged files, generated inputs and mutated code."""
