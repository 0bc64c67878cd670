"""What long bodies leave in memory goes back to the system once nothing is under way.

Twelve conversations of 1 MB at once leave some 25 MB of holes, which the C library gives back only when it is told to.
That takes milliseconds in which nobody else gets memory, so it waits for a quiet moment; and what is given back is
fetched again page by page, so that conversations of the usual size never bring it about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from sidecar.exchange import Exchange
from sidecar.interpreter import LARGE_BLOCK, give_back

QUIET_SECONDS: Final = 2.0
LONG: Final = LARGE_BLOCK
"""Bytes of a body."""


class GivesBack:
    """Hears of each exchange at its end. `in_flight` counts those that are under way. Belongs to the event loop."""

    def __init__(self, in_flight: Callable[[], int], give_back: Callable[[], None] = give_back) -> None:
        self._in_flight = in_flight
        self._give_back = give_back
        self._waiting: asyncio.TimerHandle | None = None

    def __call__(self, exchange: Exchange) -> None:
        if self._waiting is None and len(exchange.client_body) >= LONG:
            self._wait()

    def close(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._look)

    def _look(self) -> None:
        if self._in_flight():
            self._wait()
            return
        self._waiting = None
        asyncio.get_running_loop().run_in_executor(None, self._give_back)
