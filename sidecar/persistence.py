"""Claude fails now and then: asks again where the client has seen nothing yet, and not while it keeps failing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter

from sidecar import retries
from sidecar.breaker import Breakers
from sidecar.call import Call
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.headers import printable

log = logging.getLogger(__name__)


class Persistence:
    def __init__(self, breakers: Breakers, *, retry: bool) -> None:
        self.breakers = breakers
        self._retry = retry

    async def ask(self, once: Callable[[], Awaitable[None]], exchange: Exchange, call: Call) -> None:
        """Run `once` until Claude answers, as long as nothing of an answer is on the call's tape and the client has
        patience. Raises GatewayError: what it failed with at last, or 503 while the breaker is open.

        Side endpoints trip no breaker: a gateway in between may not know them.
        """
        with self._passage(exchange, call):
            until = perf_counter() + retries.patience(exchange.client_headers)
            while True:
                try:
                    return await once()
                except GatewayError as error:
                    wait = self._wait(error, exchange, call, until - perf_counter())
                    if wait is None:
                        raise
                    log.info("request %s is tried again in %.1f s: %s", exchange.id, wait, printable(error.message))
                await asyncio.sleep(wait)
                begin_anew(exchange)

    def _passage(self, exchange: Exchange, call: Call) -> AbstractContextManager[object]:
        if exchange.kind != "generate":
            return nullcontext()
        passage = self.breakers.passage(exchange.model)
        call.on_content = passage.answered
        return passage

    def _wait(self, error: GatewayError, exchange: Exchange, call: Call, left: float) -> float | None:
        if not (self._retry and call.is_blank):
            return None
        return retries.wait_before(error, exchange.retries + 1, left=left)


def begin_anew(exchange: Exchange) -> None:
    """Forget what was heard of an answer that never came, but not what it cost: it is asked for once more."""
    exchange.retries += 1
    if exchange.usage.prompt_tokens:
        exchange.retract(retries.LAYER)
    exchange.message_id = exchange.cache_miss = exchange.timing.first_byte = None
    exchange.upstream_headers = {}
