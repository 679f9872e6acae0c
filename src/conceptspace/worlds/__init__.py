"""What the data look like: images of concept classes and their prompts."""
