"""Fig. 10: underspecification and hidden capabilities."""
