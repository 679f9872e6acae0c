"""Whether the hidden capability depends on the sampler (not in the paper)."""
