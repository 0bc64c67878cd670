"""How long one request may work on the event loop while others wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final

LONGEST: Final = 0.002
"""Seconds; what is begun within them is finished."""

LONG: Final = 64 * 1024
"""Bytes of a request, from which on one step that goes through all of them takes a millisecond or more."""
TOO_LONG: Final = 256 * 1024
"""And some milliseconds."""


async def apart[*Given, Answer](size: int, work: Callable[[*Given], Answer], *given: *Given) -> Answer:
    """What `work` makes of so many bytes, more than `LONG`: a step by itself on the loop, or in a thread where that
    would be too long. Raises what `work` does, which looks at nothing that others change."""
    if size > TOO_LONG:
        return await asyncio.to_thread(work, *given)
    await asyncio.sleep(0)
    return work(*given)


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
