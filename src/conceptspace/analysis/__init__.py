"""From trajectories to findings: tables in, small result objects out, without torch."""
