"""Figs. 4 and 13: concept signal governs generalization dynamics."""
