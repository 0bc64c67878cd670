"""`/v1/responses`: one exchange, always streamed from Claude, folded where the client wants it whole."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sidecar.answers import error_response, nowhere
from sidecar.dialects.openai_responses import Decoded, Envelope, ResponseStream, encode_response
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json
from sidecar.gateway import Gateway
from sidecar.headers import for_client
from sidecar.relay import CancelledWhenGone, EventStream
from sidecar.sse import ServerSentEvent


class ResponsesAnswer(Response):
    def __init__(
        self,
        gateway: Gateway,
        exchange: Exchange,
        decoded: Decoded,
        *,
        keep: Callable[[Json], Awaitable[None]],
        ping_seconds: float,
    ) -> None:
        """`keep` is given the complete response before the client has its end: who asks for it at once must find it."""
        self._gateway = gateway
        self._exchange = exchange
        self._decoded = decoded
        self._keep = keep
        self._ping_seconds = ping_seconds
        self._key = exchange.id.removeprefix("req_")
        self._forms = decoded.forms(self._key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._stream if self._decoded.stream else self._whole
        with CancelledWhenGone(receive):
            try:
                await answer(scope, receive, send)
            except GatewayError as error:
                await error_response(error, "openai_responses", self._exchange)(scope, receive, send)

    def _envelope(self) -> Envelope:
        """Once the model is known."""
        exchange = self._exchange
        return Envelope(key=self._key, created=int(exchange.now), model=exchange.model, echo=self._decoded.echo)

    async def _whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._exchange
        async with self._gateway.account(exchange):
            await self._gateway.prepare(exchange)
            await self._gateway.stream(exchange, nowhere, fold=True)
            assert exchange.answer is not None
        response = encode_response(exchange.answer, self._envelope(), self._forms, completed=_now())
        await self._keep(response)
        body = orjson.dumps(response)
        await Response(body, media_type="application/json", headers=for_client(exchange))(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._exchange
        told: ResponseStream | None = None
        last = b""
        async with EventStream(send, lambda: for_client(exchange), ping_seconds=self._ping_seconds) as out:
            try:
                async with self._gateway.account(exchange):
                    await self._gateway.prepare(exchange)
                    told = response = ResponseStream(self._envelope(), self._forms, clock=_now)

                    async def write(events: Sequence[ServerSentEvent]) -> None:
                        nonlocal last
                        written = response.feed_all(events)
                        if response.response is None:
                            await out.write(written)
                        else:
                            # Codex hangs up at it, and the exchange is to have ended by then.
                            last += written

                    await self._gateway.stream(exchange, write)
            except GatewayError as error:
                if not out.opened:
                    raise
                told = told or ResponseStream(self._envelope(), self._forms, clock=_now)
                await out.write(told.fail(error))
            else:
                if told.response is not None:
                    await self._keep(told.response)
                await out.write(last)
            await out.end()


def _now() -> int:
    return int(time.time())
