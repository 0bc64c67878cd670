"""Routes for the owner of the gateway: usage, metrics, health. They need the admin key, which is no project's key."""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.accounts.moments import span
from sidecar.admission import presented_keys
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Json

if TYPE_CHECKING:
    from sidecar.accounts.usage_report import By
    from sidecar.file_cache import FileCache
    from sidecar.ledger.database import Database
    from sidecar.metrics import Metrics
    from sidecar.replies.replies import Replies

FORMATS: Final = ("json", "csv")
MOST_FILES: Final = 1000

Endpoint = Callable[[Request], Awaitable[Response]]


class AdminRoutes:
    """What they read is loaded a moment after the start, so that it comes as functions that wait for it."""

    def __init__(
        self,
        *,
        key: str,
        key_name: str,
        database: Callable[[], Database],
        health: Callable[[], Json],
        metrics: Callable[[], Awaitable[Metrics]] | None,
        files: FileCache | None = None,
        replies: Replies | None = None,
    ) -> None:
        """`key_name` tells the user which key is meant. `database` blocks and runs in a thread. Without `metrics`,
        `files` or `replies` there is no such route."""
        self._key = key.encode()
        self._key_name = key_name
        self._database = database
        self._health = health
        self._metrics = metrics
        self._files = files
        self._replies = replies

    def routes(self) -> Sequence[Route]:
        endpoints: list[tuple[str, Endpoint]] = [("usage", self.usage), ("health", self.health)]
        if self._metrics is not None:
            endpoints.append(("metrics", self.metrics))
        if self._files is not None:
            endpoints.append(("files", self.files))
        if self._replies is not None:
            endpoints.append(("cache", self.cache))
        routes = [Route(f"/admin/{name}", endpoint, methods=["GET"]) for name, endpoint in endpoints]
        if self._replies is not None:
            routes.append(Route("/admin/cache", self.clear_cache, methods=["DELETE"]))
        return routes

    async def usage(self, request: Request) -> Response:
        """`since`, `until` (as `moments`), `by`, `project` and `format`. Rows appear half a second after the answer."""
        self.check(request)
        asked = request.query_params
        file_format = _one_of("format", asked.get("format", "json"), FORMATS)
        try:
            since, until = span(asked.get("since"), asked.get("until"), datetime.now(UTC))
        except ValueError as error:
            raise invalid_request(str(error), param="since") from error
        content = await asyncio.to_thread(
            self._usage, asked.get("by", "day"), asked.get("project"), since, until, file_format
        )
        media_type = "text/csv; charset=utf-8" if file_format == "csv" else "application/json"
        return Response(content, media_type=media_type, headers={"cache-control": "no-store"})

    async def health(self, request: Request) -> Response:
        """How the stores are doing, with the reason where one is not; 503 while any is not."""
        self.check(request)
        parts = self._health()
        well = all(part["state"] == "ok" for part in parts.values())
        return Response(orjson.dumps(parts), 200 if well else 503, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        self.check(request)
        assert self._metrics is not None
        from sidecar.metrics import CONTENT_TYPE

        metrics = await self._metrics()
        return Response(metrics.exposition(), headers={"content-type": CONTENT_TYPE})

    async def files(self, request: Request) -> Response:
        """The files that were sent again most, as many as `limit` says (20)."""
        self.check(request)
        assert self._files is not None
        from sidecar.file_cache import as_json

        limit = request.query_params.get("limit", "20")
        if not re.fullmatch("[0-9]{1,4}", limit) or not 0 < int(limit) <= MOST_FILES:
            raise invalid_request(f"`limit` is a number from 1 to {MOST_FILES}.", param="limit")
        files, most = self._files, int(limit)
        found = await asyncio.to_thread(lambda: orjson.dumps(as_json(files.most_resent(most))))
        return Response(found, media_type="application/json", headers={"cache-control": "no-store"})

    async def cache(self, request: Request) -> Response:
        """What the response cache holds, and what became of the requests that could have used it."""
        self.check(request)
        assert self._replies is not None
        from sidecar.replies.summary import summary

        replies = self._replies
        found = await asyncio.to_thread(lambda: summary(replies.all(), time.time()))
        found["since_start"] = dict(replies.counts)
        return Response(orjson.dumps(found), media_type="application/json", headers={"cache-control": "no-store"})

    async def clear_cache(self, request: Request) -> Response:
        """Forget the kept answers, those of one `project` where it is named."""
        self.check(request)
        assert self._replies is not None
        cleared = await asyncio.to_thread(self._replies.clear, request.query_params.get("project"))
        return Response(orjson.dumps({"cleared": cleared}), media_type="application/json")

    def check(self, request: Request) -> None:
        """Raises GatewayError (401) unless one of the keys shown is the admin key; in constant time."""
        keys = presented_keys(request.headers.raw)
        if sum(hmac.compare_digest(key.encode(), self._key) for key in keys):
            return
        raise GatewayError(
            "authentication_error",
            f"This route needs {self._key_name}, as `X-API-Key: KEY` or `Authorization: Bearer KEY`.",
            code="invalid_api_key",
        )

    def _usage(
        self, by: str, project: str | None, since: datetime | None, until: datetime | None, file_format: str
    ) -> bytes:
        from sidecar.accounts.usage_report import GROUPINGS, usage_table
        from sidecar.ledger.database import LedgerUnavailableError
        from sidecar.ledger.migrations import SchemaTooNewError
        from sidecar.ledger.queries import EVERY_PROJECT

        grouping: By = _one_of("by", by, GROUPINGS)
        try:
            found = usage_table(
                self._database(), by=grouping, project=project or EVERY_PROJECT, since=since, until=until
            )
        except (LedgerUnavailableError, SchemaTooNewError) as error:
            raise GatewayError("api_error", f"{error}.", status=503, code="ledger_unavailable") from error
        return found.as_csv() if file_format == "csv" else found.as_json()


def _one_of[Choice: str](name: str, chosen: str, choices: Sequence[Choice]) -> Choice:
    for choice in choices:
        if chosen == choice:
            return choice
    raise invalid_request(f"`{name}` is one of {', '.join(choices)}.", param=name)
