"""How long one request may work on the event loop while others wait."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

LONGEST: Final = 0.002
"""Seconds; what is begun within them is finished."""


class Stretch:
    """Some steps of one request, one after the other."""

    def __init__(self) -> None:
        self._begun = perf_counter()

    @property
    def is_long(self) -> bool:
        """Whether it is the others' turn."""
        return perf_counter() - self._begun > LONGEST

    async def pause(self) -> None:
        """Between two steps: lets the others run, where the steps so far took long enough."""
        if self.is_long:
            await asyncio.sleep(0)
            self._begun = perf_counter()
