"""Models of other libraries as generative models that can be recorded."""
