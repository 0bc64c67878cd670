"""The admin routes over the ledger that the dashboard reads."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.accounts.moments import span
from sidecar.config import Settings
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Json
from sidecar.intake import ADMIN_BODY_BYTES, read_body
from sidecar.projects.directory import Directory
from sidecar.projects.policy import SWITCHES

if TYPE_CHECKING:
    from sidecar.ledger.database import Database
    from sidecar.overview.sums import Days

FRESH_SECONDS: Final = 1.0
"""How long one answer about sums stands for the next: several dashboards ask no more than one."""
MOST_REQUESTS: Final = 5000
MOST_CONVERSATIONS: Final = 1000
NO_STORE: Final = {"cache-control": "no-store"}


class OverviewRoutes:
    """The database is opened, and SQLAlchemy imported, by the first who asks."""

    def __init__(
        self,
        check: Callable[[Request], None],
        database: Callable[[], Database],
        *,
        settings: Settings,
        directory: Directory,
        budgets: Callable[[], list[Json]],
        has_body: Callable[[str], bool],
    ) -> None:
        """`check` raises GatewayError for a request without the admin key; `database` blocks."""
        self._check = check
        self._database = database
        self._settings = settings
        self._directory = directory
        self._budgets = budgets
        self._has_body = has_body
        self._days: Days | None = None
        self._sums: dict[str, asyncio.Task[tuple[float, Json]]] = {}
        """By range: what is summed up now, or was last, with the moment when that was done."""

    def routes(self) -> Sequence[Route]:
        return [
            Route("/admin/overview", self.overview, methods=["GET"]),
            Route("/admin/requests", self.requests, methods=["GET"]),
            Route("/admin/conversations", self.conversations, methods=["GET"]),
            Route("/admin/conversations/{id}", self.conversation, methods=["GET"]),
            Route("/admin/projects", self.projects, methods=["GET"]),
            Route("/admin/projects/{name}", self.switch, methods=["PATCH"]),
        ]

    async def overview(self, request: Request) -> Response:
        """Sums of today, the last seven days and this month, and a `range` (5m to 30d) as a plot."""
        self._check(request)
        found = await self._summed_up(request.query_params.get("range", "24h"))
        return _json({**found, "budgets": self._budgets()})

    async def requests(self, request: Request) -> Response:
        """Requests from the ledger, newest first: `limit`, `before` (an id), `conversation`, `project`, `since`,
        `until`."""
        self._check(request)
        return _json(await self._read(self._requests, dict(request.query_params)))

    async def conversations(self, request: Request) -> Response:
        """The newest conversations, as many as `limit` says (200)."""
        self._check(request)
        limit = _number(request.query_params.get("limit", "200"), MOST_CONVERSATIONS)
        return _json(await self._read(self._conversations, limit))

    async def conversation(self, request: Request) -> Response:
        """One conversation with its turns."""
        self._check(request)
        name = request.path_params["id"]
        found = await self._read(self._conversation, name)
        if found is None:
            raise GatewayError("not_found_error", "The ledger has no such conversation.", code="unknown_conversation")
        return _json(found)

    async def projects(self, request: Request) -> Response:
        """Every project with its usage, limits, budgets and switches."""
        self._check(request)
        return _json({"projects": await self._read(self._projects), "layers": list(SWITCHES)})

    async def switch(self, request: Request) -> Response:
        """`{"switches": {NAME: true | false | null}}`: what is on for this project; null goes back to the gateway's
        setting. In force at once here, and within seconds wherever else the database is shared."""
        self._check(request)
        name = request.path_params["name"]
        self._directory.project(name)
        wanted = _switches(await read_body(request, ADMIN_BODY_BYTES))
        await self._read(self._switch, name, wanted)
        await self._directory.refresh()
        found = await self._read(self._projects)
        return _json(next(project for project in found if project["name"] == name))

    async def _summed_up(self, asked: str) -> Json:
        """Once for all who ask at the same time; whoever leaves meanwhile takes it away from nobody."""
        summing = self._sums.get(asked)
        if summing is None or (summing.done() and time.monotonic() - summing.result()[0] > FRESH_SECONDS):
            summing = self._sums[asked] = asyncio.create_task(self._sum_up(asked), name="sum up for dashboards")
            summing.add_done_callback(lambda done: self._keep_if_whole(asked, done))
        return (await asyncio.shield(summing))[1]

    async def _sum_up(self, asked: str) -> tuple[float, Json]:
        found = await self._read(self._overview, asked)
        return time.monotonic(), found

    def _keep_if_whole(self, asked: str, done: asyncio.Task[tuple[float, Json]]) -> None:
        if done.cancelled() or done.exception() is not None:
            del self._sums[asked]

    # --- on a thread

    async def _read(self, read: Callable[..., Any], *given: object) -> Any:
        """Raises GatewayError (503) where the ledger cannot be read."""

        def reading() -> Any:
            from sidecar.ledger.database import LedgerUnavailableError
            from sidecar.ledger.migrations import SchemaTooNewError
            from sidecar.projects.store import ProjectError

            try:
                return read(*given)
            except (LedgerUnavailableError, SchemaTooNewError) as error:
                raise GatewayError("api_error", f"{error}.", status=503, code="ledger_unavailable") from error
            except ProjectError as error:
                raise GatewayError("not_found_error", str(error), code="unknown_project") from error

        return await asyncio.to_thread(reading)

    def _overview(self, asked: str) -> Json:
        from sidecar.overview import sums

        if (chosen := sums.RANGES.get(asked)) is None:
            raise invalid_request(f"`range` is one of {', '.join(sums.RANGES)}.", param="range")
        database, now = self._database(), datetime.now(UTC)
        self._days = self._days or sums.Days(database)
        since = sums.start_of(chosen, now)
        lines = sums.models(database, since)
        return {
            **self._days.sums(now.date()),
            "range": sums.sum_of(database, since),
            "series": sums.series(database, chosen, now),
            "layers": sums.layers(database, since),
            "models": lines,
            "routes": [{name: line[name] for name in ("reason", "model", "requests")} for line in lines],
        }

    def _requests(self, asked: dict[str, str]) -> Json:
        from sidecar.ledger.queries import EVERY_PROJECT
        from sidecar.overview.conversations import newest_requests

        limit = _number(asked.get("limit", "1000"), MOST_REQUESTS)
        try:
            since, until = span(asked.get("since"), asked.get("until"), datetime.now(UTC))
        except ValueError as error:
            raise invalid_request(str(error), param="since") from error
        found = newest_requests(
            self._database(),
            limit=limit + 1,
            before=asked.get("before"),
            conversation=asked.get("conversation"),
            project=asked.get("project") or EVERY_PROJECT,
            since=since,
            until=until,
            has_body=self._has_body,
        )
        return {"rows": found[:limit], "more": len(found) > limit}

    def _conversations(self, limit: int) -> Json:
        from sidecar.overview.conversations import conversations

        return {"conversations": conversations(self._database(), limit)}

    def _conversation(self, name: str) -> Json | None:
        from sidecar.overview.conversations import conversation

        return conversation(self._database(), name, self._has_body)

    def _projects(self) -> list[Json]:
        from sidecar.overview.projects import projects

        return projects(self._database(), self._directory.all(), self._settings, datetime.now(UTC).date())

    def _switch(self, name: str, wanted: dict[str, bool | None]) -> None:
        from sidecar.overview.projects import switched
        from sidecar.projects.store import ProjectStore

        ProjectStore(self._database()).edit(name, lambda project: switched(project, wanted))


def _switches(body: bytes) -> dict[str, bool | None]:
    try:
        wanted = orjson.loads(body)["switches"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise invalid_request('The body is `{"switches": {NAME: true, false or null}}`.', param="switches") from error
    if not isinstance(wanted, dict) or not all(on is None or isinstance(on, bool) for on in wanted.values()):
        raise invalid_request("A switch is true, false or null.", param="switches")
    if unknown := sorted(set(wanted) - set(SWITCHES)):
        raise invalid_request(f"`{unknown[0]}` is no switch of a project's: those are {', '.join(SWITCHES)}.")
    return wanted


def _number(text: str, most: int) -> int:
    if not re.fullmatch("[0-9]{1,6}", text) or not 0 < int(text) <= most:
        raise invalid_request(f"`limit` is a number from 1 to {most}.", param="limit")
    return int(text)


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json", headers=NO_STORE)
