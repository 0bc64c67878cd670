"""Answers in each dialect: they run the exchange while the client waits, and end with it when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from math import ceil
from typing import Any, Protocol

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sidecar.dialects import anthropic_messages, openai, openai_chat
from sidecar.errors import GatewayError
from sidecar.exchange import Dialect, Exchange, Json
from sidecar.gateway import Gateway
from sidecar.headers import for_anyone, for_client
from sidecar.relay import CancelledWhenGone, EventStream, send_whole
from sidecar.sse import ServerSentEvent, raw_of


def error_response(error: GatewayError, dialect: Dialect, exchange: Exchange | None = None) -> Response:
    """The error as `dialect` writes it; on the native route Claude's own error body goes out unchanged."""
    encode = anthropic_messages.encode_error if dialect == "anthropic_messages" else openai.encode_error
    status, content = encode(error)
    body = error.raw if error.raw and dialect == "anthropic_messages" else orjson.dumps(content)
    headers = for_client(exchange) if exchange else for_anyone()
    if error.retry_after is not None:
        headers["retry-after"] = str(ceil(error.retry_after))
    return Response(body, status, media_type="application/json", headers=headers)


class NativeAnswer(Response):
    """`/v1/messages`: Claude's bytes as they are."""

    def __init__(self, gateway: Gateway, exchange: Exchange, *, ping_seconds: float) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._ping_seconds = ping_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._stream if self._exchange.stream else self._whole
        with CancelledWhenGone(receive):
            try:
                await answer(send)
            except GatewayError as error:
                await error_response(error, "anthropic_messages", self._exchange)(scope, receive, send)

    async def _whole(self, send: Send) -> None:
        async with self._gateway.account(self._exchange):
            await self._gateway.prepare(self._exchange)
            body = await self._gateway.whole(self._exchange)
        await send_whole(send, 200, for_client(self._exchange), body)

    async def _stream(self, send: Send) -> None:
        exchange = self._exchange
        async with EventStream(send, lambda: for_client(exchange), ping_seconds=self._ping_seconds) as out:

            async def write(events: Sequence[ServerSentEvent]) -> None:
                await out.write(raw_of(events))

            try:
                async with self._gateway.account(exchange):
                    await self._gateway.prepare(exchange)
                    await self._gateway.stream(exchange, write)
            except GatewayError as error:
                if not out.opened:
                    raise
                await out.write(anthropic_messages.error_event(error))
            await out.end()


class Choice(Protocol):
    """One answer of possibly several, on its way to the client."""

    def feed_all(self, events: Sequence[ServerSentEvent]) -> bytes: ...


class Voice[C: Choice](Protocol):
    """How a dialect of OpenAI's with `choices` tells Claude's answers."""

    def whole(self, message: Json, index: int) -> Json:
        """The answer with one choice."""
        ...

    def streamed(self, model: str, index: int) -> C: ...

    def end(self, choices: Sequence[C]) -> bytes:
        """What follows the last of all choices."""
        ...


class ChoicesAnswer[C: Choice](Response):
    """`/v1/chat/completions` and its elder: one exchange a choice, always streamed from Claude, folded where the client
    wants it whole."""

    def __init__(
        self, gateway: Gateway, exchanges: Sequence[Exchange], voice: Voice[C], *, ping_seconds: float
    ) -> None:
        self._gateway = gateway
        self._exchanges = exchanges
        self._first = exchanges[0]
        self._voice = voice
        self._ping_seconds = ping_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._stream if self._first.stream else self._whole
        with CancelledWhenGone(receive):
            try:
                await answer(send)
            except GatewayError as error:
                await error_response(error, self._first.dialect, self._first)(scope, receive, send)

    async def _whole(self, send: Send) -> None:
        count = len(self._exchanges)
        if count == 1:
            told = await self._choice(0)
        else:
            told = openai_chat.merge_choices(await _all([self._choice(index) for index in range(count)]))
        await send_whole(send, 200, for_client(self._first), orjson.dumps(told))

    async def _choice(self, index: int) -> Json:
        exchange = self._exchanges[index]
        async with self._gateway.account(exchange):
            await self._gateway.prepare(exchange)
            await self._gateway.stream(exchange, nowhere, fold=True)
            assert exchange.answer is not None
        return self._voice.whole(exchange.answer, index)

    async def _stream(self, send: Send) -> None:
        async with EventStream(send, lambda: for_client(self._first), ping_seconds=self._ping_seconds) as out:
            count = len(self._exchanges)
            try:
                if count == 1:
                    choices = [await self._streamed_choice(0, out)]
                else:
                    choices = await _all([self._streamed_choice(index, out) for index in range(count)])
            except GatewayError as error:
                if not out.opened:
                    raise
                await out.write(openai_chat.error_chunk(error))
            else:
                await out.write(self._voice.end(choices))
            await out.end()

    async def _streamed_choice(self, index: int, out: EventStream) -> C:
        exchange = self._exchanges[index]
        async with self._gateway.account(exchange):
            await self._gateway.prepare(exchange)
            choice = self._voice.streamed(exchange.model, index)

            async def write(events: Sequence[ServerSentEvent]) -> None:
                await out.write(choice.feed_all(events))

            await self._gateway.stream(exchange, write)
        return choice


async def nowhere(_: Sequence[ServerSentEvent]) -> None:
    return


async def _all[T](choices: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them at once; the first failure ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(choice) for choice in choices]
    except* GatewayError as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
