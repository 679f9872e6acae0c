"""From checkpoints to trajectories in concept space."""
