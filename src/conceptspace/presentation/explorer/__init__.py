"""Learning in the browser: one page on all runs, served while they train or mailed as one file."""
