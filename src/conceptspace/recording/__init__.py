"""Asking a model at its checkpoints, and keeping what it answers in a run folder."""
