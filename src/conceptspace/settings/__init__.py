"""What every description of a run is made of: sections, kinds, bounds, dotted names, versions."""
