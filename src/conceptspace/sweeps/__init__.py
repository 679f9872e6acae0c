"""Sweeps: many runs from one plan, worked on side by side by processes or over machines."""
