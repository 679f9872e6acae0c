"""conceptspace: watch a generative model learn concepts."""

__version__ = "0.1.0"
