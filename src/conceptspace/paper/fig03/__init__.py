"""Fig. 3: concept signal determines learning speed."""
