"""What a model must be to be recorded: anything that makes images, and what more it may offer."""
