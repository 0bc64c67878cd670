"""Lets equal requests that come while the first one is being answered share its call to Claude.

Which requests are equal says the response cache, by `exchange.reply_key`. Whether they stream, and in which dialect
they speak, makes no difference.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Final

from sidecar.call import Call
from sidecar.exchange import Exchange
from sidecar.replies.wishes import wishes_of
from sidecar.services import Services

LAYER: Final = "coalesce"


class Coalesce:
    def __init__(self, _: Services) -> None:
        self._calls: dict[str, Call] = {}
        """The newest of each key, while it is on its way."""

    async def request(self, exchange: Exchange) -> None:
        key = exchange.reply_key
        if key is None:
            return
        if not wishes_of(exchange.client_headers).fresh:
            while (call := self._calls.get(key)) is not None and call.may_be_joined:
                if await self._joined(exchange, call):
                    return
        call = exchange.call = exchange.call or Call(exchange)
        self._calls[key] = call
        call.when_ended(partial(self._ended, key, call))

    async def _joined(self, exchange: Exchange, call: Call) -> bool:
        """Waits until the call is on its way, when its model is known. False where its leader left before that."""
        exchange.timing.joined = perf_counter()
        place = call.join()
        try:
            if await call.comes():
                exchange.joined = place
        finally:
            if exchange.joined is None:
                call.leave(place)
                exchange.timing.joined = None
        if exchange.joined is None:
            return False
        exchange.call = None
        exchange.model = call.leader.model
        exchange.route_reason = call.leader.route_reason
        exchange.response_headers["x-gateway-coalesced"] = call.leader.id
        exchange.decide(LAYER, f"shares the call of request {call.leader.id}")
        return True

    def _ended(self, key: str, call: Call) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]
