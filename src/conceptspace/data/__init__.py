"""Concept spaces and the images of their classes."""
