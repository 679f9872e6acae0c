"""Fig. 8: underspecification delays out-of-distribution generalization."""
