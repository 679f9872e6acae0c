"""Figs. 7b and 9a: underspecification hinders out-of-distribution generalization."""
