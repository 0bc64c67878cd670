"""Claude's answers wait until a test lets them go on, whatever the machine does meanwhile."""

from __future__ import annotations

import threading
from typing import Final

import pytest

from sidecar.simulator.delivery import Delivery

AN_HOUR: Final = 3600.0
"""So long a pause of a scripted answer ends when the gate is opened."""


class Gate:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        pause = Delivery._pause

        async def pause_at_gate(delivery: Delivery, seconds: float) -> None:
            if seconds != AN_HOUR:
                await pause(delivery, seconds)
                return
            while not self._open.is_set():
                await pause(delivery, 0.005)

        monkeypatch.setattr(Delivery, "_pause", pause_at_gate)

    def open(self) -> None:
        self._open.set()
