"""Requests that go to Claude's API as they are, and answers that come back as they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sidecar.answers import error_response
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.headers import for_client, for_upstream
from sidecar.relay import CancelledWhenGone, asgi_headers
from sidecar.upstream import Upstream

if TYPE_CHECKING:
    from sidecar.wire import UpstreamAnswer

Changed = Callable[[bytes], Awaitable[bytes]]

DESCRIBES_THE_BODY: frozenset[str] = frozenset({"content-type", "content-disposition"})


class Passthrough(Response):
    """One request of a client to `path` of Claude's API, with our key in the place of its own."""

    def __init__(self, upstream: Upstream, exchange: Exchange, method: str, path: str) -> None:
        """`exchange` has the client's headers, query and body; it is not run."""
        self._upstream = upstream
        self._exchange = exchange
        self._method = method
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._exchange
        with CancelledWhenGone(receive):
            try:
                async with self._upstream.send(
                    self._method,
                    self._path,
                    exchange.client_body or None,
                    for_upstream(exchange.client_headers, exchange.dialect),
                    query=exchange.query,
                ) as answer:
                    exchange.upstream_headers = answer.headers
                    await self.pass_on(answer, send)
            except GatewayError as error:
                exchange.upstream_headers = exchange.upstream_headers or error.headers
                await error_response(error, exchange.dialect, exchange)(scope, receive, send)

    async def pass_on(self, answer: UpstreamAnswer, send: Send) -> None:
        """The body while it comes."""
        await self.open(answer, send)
        try:
            async for chunk in answer.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self.passed(chunk)
        except GatewayError as error:  # the status is gone: a connection that breaks is all that can still be told
            raise ConnectionError(error.message) from error
        await self.ended()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def open(self, answer: UpstreamAnswer, send: Send) -> None:
        told = for_client(self._exchange)
        told |= {name: answer.headers[name] for name in DESCRIBES_THE_BODY & answer.headers.keys()}
        headers = asgi_headers(told)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})

    def passed(self, chunk: bytes) -> None:
        """Hears of each piece of the body."""

    async def ended(self) -> None:
        """Hears that the body was whole, before the client does."""


class ChangedPassthrough(Passthrough):
    """An answer that is read whole, since something in it must be another."""

    def __init__(self, upstream: Upstream, exchange: Exchange, method: str, path: str, changed: Changed) -> None:
        super().__init__(upstream, exchange, method, path)
        self._changed = changed

    async def pass_on(self, answer: UpstreamAnswer, send: Send) -> None:
        body = await self._changed(await answer.body())
        await self.open(answer, send)
        await send({"type": "http.response.body", "body": body, "more_body": False})
