"""A config as an experiment: its world, model, judge and protocols, trained and recorded."""
