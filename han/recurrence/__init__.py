"""A level of the network: the equations of its cells, compiled loops over sequences, and a TensorFlow operation."""
