"""Whether the sidecar answers, for how long it is up and what it has done."""

from __future__ import annotations

from typing import Any

from textual.reactive import reactive
from textual.widgets import Static


class Vitals(Static):
    """Three lines; `health` is the latest answer of `GET /health`, None while there is none."""

    health: reactive[dict[str, Any] | None] = reactive[dict[str, Any] | None](None, init=False, always_update=True)

    def __init__(self, url: str) -> None:
        super().__init__(f"{url}\n...", markup=False)
        self._url = url

    def watch_health(self, health: dict[str, Any] | None) -> None:
        self.set_class(health is None, "-silent")
        self.update(self._url + "\n" + (_told(health) if health else "does not answer"))


def _told(health: dict[str, Any]) -> str:
    return (
        f"up {duration(health.get('uptime_seconds', 0))}, version {health.get('version', '?')}\n"
        f"{health.get('requests', 0)} requests, {health.get('in_flight', 0)} in flight"
    )


def duration(seconds: float) -> str:
    """`42 s`, `3 min 07 s`, `2 h 05 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"
