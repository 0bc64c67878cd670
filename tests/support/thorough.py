"""How many examples a property is tried with: as many as a run of minutes bears, and ten times as many where
`HYPOTHESIS_PROFILE=thorough` asks for them."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "cgw")
TIMES = {"cgw": 1, "thorough": 10}[PROFILE]
USUAL = 50
"""Where a test names no number of its own."""

UNHURRIED: Final = [HealthCheck.too_slow]
"""It reads the clock: a machine that stood still would fail it."""
ONE_FIXTURE: Final = [*UNHURRIED, HealthCheck.function_scoped_fixture]
"""For a property whose examples may share what a fixture made."""


def examples(usually: int) -> int:
    return usually * TIMES
