"""The product gives up on its own machine soon, so that no request waits for a cache or a count. A machine that stands
still for some seconds, as one that runs other tests too does, would then decide what a test finds."""

from __future__ import annotations

from typing import Final

from addons import thinking_memory
from sidecar import own_router
from sidecar.commands import running
from sidecar.limits import budgets, shared_windows
from sidecar.projects import directory
from sidecar.store import disk, shared

LONG: Final = 120.0

SHORT_OF_TIME: Final = (
    (thinking_memory, "PATIENCE"),
    (own_router, "PATIENCE_SECONDS"),
    (running, "HEALTH_SECONDS"),
    (budgets, "PATIENCE_SECONDS"),
    (shared_windows, "ANSWER_SECONDS"),
    (shared_windows, "CONNECT_SECONDS"),
    (directory, "PATIENCE_SECONDS"),
    (disk, "ANSWER_SECONDS"),
    (disk, "LOCKED_SECONDS"),
    (shared, "ANSWER_SECONDS"),
    (shared, "CONNECT_SECONDS"),
)


def be_patient() -> None:
    """For the process of the tests alone. A test of giving up sets its own."""
    for module, name in SHORT_OF_TIME:
        assert getattr(module, name) < LONG
        setattr(module, name, LONG)
