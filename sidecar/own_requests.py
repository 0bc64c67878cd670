"""Requests that no client made: what the gateway asks Claude by itself, on its own account."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final

import orjson

from sidecar.accounts.account import spent
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json, Usage
from sidecar.headers import for_upstream

if TYPE_CHECKING:
    from sidecar.accounts.prices import Prices
    from sidecar.upstream import Upstream

log = logging.getLogger(__name__)

CLOCK_HEADER: Final = "x-cgw-clock"
"""When a request would have been sent, for a simulated Claude: epoch seconds."""


class OwnRequests:
    """Sends them, and hands each to the books as the spending of the layer that wanted it."""

    def __init__(self, upstream: Upstream, prices: Prices, settle: Callable[[Exchange], None]) -> None:
        """`settle` is told of each exchange that Claude answered, with its `account` made up."""
        self._upstream = upstream
        self._prices = prices
        self._settle = settle

    async def ask(self, behind: Exchange, request: Json, layer: str, *, at: float | None = None) -> Usage | None:
        """Usage of a plain (not streamed) request in the name of the exchange it follows; None where Claude refused it
        or could not be reached, which nobody else need know. `at` is the simulated moment, in a replay."""
        own = Exchange(
            id=f"req_{uuid.uuid4().hex}",
            dialect=behind.dialect,
            client_headers=behind.client_headers,
            query="",
            client_body=b"",
            request=request,
            stream=False,
            model_asked=behind.model_asked,
            model=behind.model,
            model_resolved=behind.model_resolved,
            route_reason=layer,
            project=behind.project,
            policy=behind.policy,
            conversation=behind.conversation,
            client=behind.client,
            now=at or 0.0,
        )
        headers = for_upstream(behind.client_headers, behind.dialect)
        if at is not None:
            headers[CLOCK_HEADER] = f"{at:.3f}"
        own.timing.upstream_sent = perf_counter()
        try:
            async with self._upstream.send("POST", "/v1/messages", orjson.dumps(request), headers) as answer:
                own.upstream_headers = answer.headers
                told = orjson.loads(await answer.body())
        except (GatewayError, orjson.JSONDecodeError) as error:
            log.info("Claude did not take a request of the %s layer: %s", layer, error)
            return None
        own.timing.upstream_ended = own.timing.finished = perf_counter()
        own.status = 200
        own.usage.update(told.get("usage") or {})
        own.stop_reason = told.get("stop_reason")
        cost = self._prices.cost(own.model, own.usage, own.started, speed=own.usage.speed)
        own.account = spent(layer, cost)
        self._settle(own)
        return own.usage
