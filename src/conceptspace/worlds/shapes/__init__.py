"""One colored object on a background, rendered from a concept vector (paper App. A.1)."""
