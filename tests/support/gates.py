"""Claude's answers wait until a test lets them go on, whatever the machine does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

import pytest

from sidecar.simulator.delivery import Delivery

AN_HOUR: Final = 3600.0
"""So long a pause of a scripted answer ends when the gate is opened."""


class Gate:
    """For the simulators of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        self._passes = threading.Semaphore(0)
        pause = Delivery._pause

        async def pause_at_gate(delivery: Delivery, seconds: float) -> None:
            if seconds != AN_HOUR:
                await pause(delivery, seconds)
                return
            passes = self._passes  # what is let through after the next `shut` is for others
            while not self._open.is_set() and not passes.acquire(blocking=False):
                await pause(delivery, 0.005)

        monkeypatch.setattr(Delivery, "_pause", pause_at_gate)

    def open(self) -> None:
        self._open.set()

    def let_through(self, pauses: int) -> None:
        """So many of them end, and those after them wait again."""
        self._passes.release(pauses)

    def shut(self) -> None:
        self._open.clear()
        self._passes = threading.Semaphore(0)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open()
