"""Figs. 2 and 11: concept spaces with different concept signals."""
