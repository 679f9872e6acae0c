"""Fig. 5: a phenomenological model of learning dynamics in concept space (Eq. 1)."""
