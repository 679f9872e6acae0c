"""Fig. 17: patching the condition embedding."""
