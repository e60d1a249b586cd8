"""The recurrence of the encoder: equations of the cells, compiled loops over sequences, and TensorFlow operations."""
