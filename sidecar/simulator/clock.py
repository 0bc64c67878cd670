"""The simulator's time: the real one until someone sets it."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch. `advance` shifts it, `set` stops it at a moment, `run` lets it go on from there."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._stopped: float | None = None

    def now(self) -> float:
        return time.time() + self._offset if self._stopped is None else self._stopped

    def set(self, moment: float) -> None:
        self._stopped = moment

    def advance(self, seconds: float) -> None:
        if self._stopped is None:
            self._offset += seconds
        else:
            self._stopped += seconds

    def run(self) -> None:
        if self._stopped is not None:
            self._offset = self._stopped - time.time()
            self._stopped = None
