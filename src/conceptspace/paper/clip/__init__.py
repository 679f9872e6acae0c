"""What the published clip norm does together with the reconstruction term (not in the paper)."""
