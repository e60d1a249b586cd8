"""What a prediction rests on: scores of words and sentences."""
