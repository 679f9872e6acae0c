"""Fig. 1c: concepts are learned in an order."""
