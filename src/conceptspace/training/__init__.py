"""From data and a model to checkpoints."""
