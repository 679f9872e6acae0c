"""Fig. 15: three concepts, one success and one failure."""
