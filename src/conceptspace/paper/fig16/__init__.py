"""Fig. 16: learning dynamics under classifier-free guidance."""
