"""The admin routes of the live dashboard. They need the admin key; how they check it comes from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sidecar.accounts.prices import Prices
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Json
from sidecar.feed.detail import detail, path_of
from sidecar.feed.feed import Feed
from sidecar.feed.kept import KeptExchange, KeptExchanges
from sidecar.feed.switches import Switches
from sidecar.headers import KEPT_HERE
from sidecar.intake import ADMIN_BODY_BYTES, read_body

MOST_BODIES: Final = 10_000
REPLAY_SECONDS: Final = 600.0

NO_STORE: Final = {"cache-control": "no-store"}


class FeedRoutes:
    def __init__(
        self,
        check: Callable[[Request], None],
        feed: Feed,
        kept: KeptExchanges,
        switches: Switches,
        *,
        prices: Prices,
        upstream_url: str,
        url: str,
        gateway_key: str,
    ) -> None:
        """`check` raises GatewayError for a request without the admin key. `url` is where this sidecar listens, for
        replays, which come in like any other request."""
        self._check = check
        self._feed = feed
        self._kept = kept
        self._switches = switches
        self._prices = prices
        self._upstream_url = upstream_url
        self._url = url
        self._gateway_key = gateway_key
        self._replays: set[asyncio.Task[None]] = set()

    def routes(self) -> Sequence[Route]:
        return [
            Route("/admin/events", self.events, methods=["GET"]),
            Route("/admin/exchanges/{id}", self.exchange, methods=["GET"]),
            Route("/admin/exchanges/{id}/replay", self.replay, methods=["POST"]),
            Route("/admin/bypass", self.bypass, methods=["POST"]),
            Route("/admin/bodies", self.bodies, methods=["POST"]),
        ]

    async def events(self, request: Request) -> Response:
        """What happens, as server-sent events: `hello` once, then `batch` and `state`."""
        self._check(request)
        headers = {**NO_STORE, "x-accel-buffering": "no"}
        return StreamingResponse(self._feed.watch(), media_type="text/event-stream", headers=headers)

    async def exchange(self, request: Request) -> Response:
        """All that is known of one exchange; 404 once it is no longer kept."""
        self._check(request)
        found = await self._found(request)
        content = await asyncio.to_thread(lambda: orjson.dumps(detail(found, self._prices, self._upstream_url)))
        return Response(content, media_type="application/json", headers=NO_STORE)

    async def replay(self, request: Request) -> Response:
        """Send the client's request once more, past the response cache. It costs what it costs."""
        self._check(request)
        found = await self._found(request)
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._send_again(found, answered), name="replay a request")
        self._replays.add(task)
        task.add_done_callback(self._replays.discard)
        return _json({"id": await answered})

    async def bypass(self, request: Request) -> Response:
        """`{"on": true}`: every request goes as its client wrote it, until this is turned off or cgw ends."""
        self._check(request)
        on = (await _object(request)).get("on")
        if not isinstance(on, bool):
            raise invalid_request("`on` is true or false.", param="on")
        self._switches.bypass = on
        return _json(self._feed.told_state())

    async def bodies(self, request: Request) -> Response:
        """`{"keep": 0}`: of how many requests the bodies are kept in memory."""
        self._check(request)
        keep = (await _object(request)).get("keep")
        if not isinstance(keep, int) or isinstance(keep, bool) or not 0 <= keep <= MOST_BODIES:
            raise invalid_request(f"`keep` is a number from 0 to {MOST_BODIES}.", param="keep")
        self._switches.keep_bodies = keep
        self._kept.trim()
        return _json(self._feed.told_state())

    async def _found(self, request: Request) -> KeptExchange:
        request_id = request.path_params["id"]
        await self._feed.come_to_its_end(request_id)
        if (found := self._kept.get(request_id)) is not None:
            return found
        keep = self._switches.keep_bodies
        why = f"cgw keeps the newest {keep} (KEEP_BODIES)" if keep else "KEEP_BODIES=0 keeps none"
        raise GatewayError("not_found_error", f"The bodies of this request are not in memory: {why}.", code="not_kept")

    async def _send_again(self, found: KeptExchange, answered: asyncio.Future[str]) -> None:
        headers = {name: value for name, value in found.client_headers.items() if name not in KEPT_HERE}
        headers |= {
            "authorization": f"Bearer {self._gateway_key}",
            "content-type": "application/json",
            "cache-control": "no-cache",
            "x-project": found.row["project"],
        }
        import aiohttp  # late, as everywhere: no start needs it

        timeout = aiohttp.ClientTimeout(total=REPLAY_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(trust_env=False, timeout=timeout) as session,
                session.post(
                    f"{self._url}{path_of(found.row)}?{found.query}", data=found.client_body, headers=headers
                ) as answer,
            ):
                answered.set_result(answer.headers.get("x-request-id", ""))
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            if not answered.done():
                answered.set_exception(GatewayError("api_error", f"The replay failed: {error}.", status=502))


async def _object(request: Request) -> Json:
    try:
        found = orjson.loads(await read_body(request, ADMIN_BODY_BYTES))
    except orjson.JSONDecodeError as error:
        raise invalid_request(f"The body is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise invalid_request("The body must be a JSON object.")
    return found


def _json(content: Json) -> Response:
    return Response(orjson.dumps(content), media_type="application/json", headers=NO_STORE)
