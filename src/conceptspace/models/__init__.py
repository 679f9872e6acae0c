"""Models that generate: what one must be to be recorded, and the diffusion model of the paper."""
