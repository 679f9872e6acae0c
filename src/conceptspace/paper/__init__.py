"""Every figure of the paper: which runs it needs, what they show, and whether its claim holds."""
