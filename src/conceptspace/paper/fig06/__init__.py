"""Fig. 6: emergence of hidden capabilities."""
