"""How a model is asked for a concept class."""
