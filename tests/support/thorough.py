"""How many examples a property is tried with: as many as a run of minutes bears, and ten times as many where
`HYPOTHESIS_PROFILE=thorough` asks for them."""

from __future__ import annotations

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "cgw")
TIMES = {"cgw": 1, "thorough": 10}[PROFILE]
USUAL = 50
"""Where a test names no number of its own."""


def examples(usually: int) -> int:
    return usually * TIMES
