"""Token estimates, offline: the shape of a text, scaled by what Claude returned."""
