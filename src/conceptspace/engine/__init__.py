"""The same model, sooner: fused operations, reduced precision and recorded launches."""
