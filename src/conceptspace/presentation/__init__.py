"""Findings and trajectories as figures and as one HTML page."""
