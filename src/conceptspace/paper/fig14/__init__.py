"""Fig. 14: concept space dynamics in CelebA (App. C.3)."""
