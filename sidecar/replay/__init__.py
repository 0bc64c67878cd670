"""Recorded sessions, played through the real pipeline against the simulator: what they cost, and what was lost."""
