"""Fig. 12: loss, accuracy and trajectory."""
