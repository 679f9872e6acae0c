"""Fig. 9b: underspecification in the toy model (Eq. 2)."""
