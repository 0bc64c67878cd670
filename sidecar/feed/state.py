"""How the sidecar is: what the dashboard shows at its head, and the heartbeat of the feed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Final

from sidecar.breaker import Breakers, is_failure
from sidecar.exchange import Exchange, Json
from sidecar.feed.switches import Switches
from sidecar.limits.budgets import Budgets
from sidecar.projects.project import Project

DEGRADED_SECONDS: Final = 60.0
"""How long a failure of Claude's is shown, where nothing was answered since."""


class SidecarState:
    """`ended` listens to finished exchanges; calling it says how things are."""

    def __init__(
        self,
        *,
        health: Callable[[], Json],
        switches: Switches,
        recording: Callable[[], bool],
        breakers: Breakers,
        upstream_url: str,
        budgets: Budgets,
        projects: Callable[[], Iterable[Project]],
    ) -> None:
        """`health` is what `GET /health` answers."""
        self._health = health
        self._switches = switches
        self._recording = recording
        self._breakers = breakers
        self._upstream_url = upstream_url
        self._budgets = budgets
        self._projects = projects
        self._answered = False
        self._last_error: str | None = None
        self._failed_at = 0.0

    def ended(self, exchange: Exchange) -> None:
        if exchange.timing.upstream_sent is None:
            return
        if exchange.error is None:
            self._answered = self._answered or not exchange.cancelled
            self._last_error = None if not exchange.cancelled else self._last_error
        elif is_failure(exchange.error):
            self._last_error = exchange.error.message
            self._failed_at = time.monotonic()

    def __call__(self) -> Json:
        health = self._health()
        return {
            "uptime_seconds": health["uptime_seconds"],
            "requests": health["requests"],
            "in_flight": health["in_flight"],
            "bypass": self._switches.bypass,
            "recording": self._recording(),
            "keeps_bodies": self._switches.keep_bodies,
            "ledger": health["ledger"],
            "warnings": health["warnings"],
            "upstream": self._upstream(),
            "interceptor": health.get("interceptor") or {"state": "off"},
            "budgets": [
                {
                    "project": project.name,
                    "period": state.period,
                    "budget_picos": state.budget,
                    "spent_picos": state.spent,
                    "estimated": state.estimated,
                }
                for project in self._projects()
                for state in self._budgets.states(project)
            ],
        }

    def _upstream(self) -> Json:
        breakers = [asdict(breaker) for breaker in self._breakers.states()]
        recent = self._last_error if time.monotonic() - self._failed_at < DEGRADED_SECONDS else None
        if any(breaker["state"] == "open" for breaker in breakers):
            state = "down"
        elif recent is not None:
            state = "degraded"
        else:
            state = "ok" if self._answered else "unknown"
        return {"url": self._upstream_url, "state": state, "last_error": recent, "breakers": breakers}
