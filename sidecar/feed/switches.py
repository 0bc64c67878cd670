"""What the owner may turn at a running sidecar. Nothing here outlives the process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Switches:
    bypass: bool = False
    """Every request goes as its client wrote it."""
    keep_bodies: int = 50
    """Of how many requests bodies and answers are kept, in memory only; 0 keeps none."""
