"""How fast everything is: a plain reference as the yardstick, and what is measured against it."""
