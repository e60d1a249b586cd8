"""From labelled documents to a trained network."""
