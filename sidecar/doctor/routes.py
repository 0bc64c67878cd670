"""The checks for the dashboard: as the sidecar sees itself."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar import __version__
from sidecar.doctor.scene import Running, Scene
from sidecar.exchange import Json

if TYPE_CHECKING:
    from sidecar.config import Settings
    from sidecar.home import Home
    from sidecar.ledger.database import Database

FRESH_SECONDS: Final = 5.0


class DoctorRoutes:
    """Asks nobody outside: whether Anthropic takes the key is for `cgw doctor`, which asks first."""

    def __init__(
        self,
        check: Callable[[Request], None],
        home: Home,
        settings: Settings,
        *,
        url: str,
        health: Callable[[], Json],
        database: Callable[[], Database],
    ) -> None:
        """`check` raises GatewayError for a request without the admin key; `database` blocks."""
        self._check = check
        self._home = home
        self._settings = settings
        self._url = url
        self._health = health
        self._database = database
        self._started = time.time()
        self._found: tuple[float, Json] | None = None
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> Sequence[Route]:
        return [Route("/admin/doctor", self.doctor, methods=["GET"])]

    async def doctor(self, request: Request) -> Response:
        """`{"findings": [{"check", "severity", "said", "fix"}], "checked": epoch seconds}`."""
        self._check(request)
        async with self._one_at_a_time:
            if self._found is None or time.monotonic() - self._found[0] > FRESH_SECONDS:
                running = Running(self._url, __version__, self._started, self._health())
                told = await asyncio.to_thread(self._examine, running)
                self._found = time.monotonic(), told
        body = orjson.dumps(self._found[1])
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    def _examine(self, running: Running) -> Json:
        from sidecar.doctor.examination import examine

        scene = Scene(self._home, self._settings, os.environ, running, self._database)
        return {"findings": [finding.as_json() for finding in examine(scene)], "checked": time.time()}
