"""What is in an image: the value of each concept, and whether there is a valid object at all."""
