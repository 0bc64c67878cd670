"""Wait for what happens in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

GIVE_UP_SECONDS: Final = 120.0
"""Only so that a hang ends."""


def until[T](holds: Callable[[], T], what: str = "it") -> T:
    """What is true at last."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} never came")
        time.sleep(0.01)
    return found
