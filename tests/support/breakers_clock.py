"""The clock of the circuit breakers, and of the library under them, stands still until a test moves it on."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from interlock import _clock

from sidecar import breaker


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """So many seconds pass for the breakers."""
    now = 1000.0

    def move(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(breaker, "monotonic", lambda: now)
    monkeypatch.setattr(_clock, "time", SimpleNamespace(monotonic=lambda: now))
    return move
