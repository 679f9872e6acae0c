"""Generative models: what can be recorded, and the diffusion model of the paper."""
