"""Puts an answer on the wire the way the script says: late, slowly, in odd pieces, or not to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from starlette.responses import Response
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send

from sidecar.simulator.answers import ERRORS, Answer
from sidecar.simulator.ledger import Moment
from sidecar.simulator.wire import PING, Event


class ConnectionCutError(Exception):
    """Ends a response without its end: the server closes the socket."""


@dataclass(slots=True)
class Progress:
    """How far a delivery came."""

    events_sent: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    started: bool = False
    """`message_start`, or the body of a plain answer, has been sent: from here on the request is billed."""
    complete: bool = False
    error: str | None = None
    cancelled: Moment | None = None


@dataclass(slots=True)
class Delivery:
    """One response to send. `begin` is called when the answer itself begins, `end` once, whatever happens: before the
    last of it goes out, so that whoever has read it finds it in the ledger."""

    answer: Answer
    headers: Mapping[str, str]
    begin: Callable[[], None]
    end: Callable[[Progress], None]
    closing: asyncio.Event
    """Set when the simulator shuts down: every pause ends in a cut."""
    status: int = 200
    body: bytes | None = None
    """A plain answer; None streams `events`."""
    events: Sequence[Event] = ()
    error_event: bytes = b""
    progress: Progress = field(default_factory=Progress)
    _ended: bool = False

    async def run(self, receive: Receive, send: Send) -> None:
        """Sends until the end, or until the client is gone."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(until_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() and not self.progress.complete:
                self.progress.cancelled = "in mid-stream" if self.progress.started else "before the first byte"
        finally:
            for task in (sending, leaving):
                task.cancel()
            outcome, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
            self._end()
        if isinstance(outcome, Exception):
            raise outcome

    async def _send(self, send: Send) -> None:
        if self.answer.head_early:
            await self._send_head(send)
        await self._pause(self.answer.first_byte_after)
        if not self.answer.head_early:
            await self._send_head(send)
        pieces = self._streamed() if self.body is None else self._whole(self.body)
        async for piece in rechunked(pieces, self.answer.chunk_sizes):
            await send(body_message(piece))
        await send(body_message(b"", more=False))

    async def _send_head(self, send: Send) -> None:
        headers = dict(self.headers)
        if self.body is None:
            headers |= {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        else:
            headers |= {"content-type": "application/json", "content-length": str(len(self.body))}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})

    async def _whole(self, body: bytes) -> AsyncIterator[bytes]:
        self._start()
        cut = self.answer.cut_after
        if cut is not None and cut < len(body):
            yield body[:cut]
            raise ConnectionCutError
        self.progress.complete = True
        self._end()
        yield body

    async def _streamed(self) -> AsyncIterator[bytes]:
        for number, event in enumerate(self.events):
            if number == self.answer.cut_after:
                raise ConnectionCutError
            if number == self.answer.error_after:
                self.progress.error = ERRORS.get(self.answer.error_status, ERRORS[500])[0]
                yield self.error_event
                return
            if number == self.answer.silent_after:
                async for ping in self._silence():
                    yield ping
            if event.is_delta:
                await self._pause(self.answer.delta_every)
            if event.name == "message_start":
                self._start()
            self.progress.complete = number == len(self.events) - 1
            self._count(event)
            if self.progress.complete:
                self._end()
            yield event.encode()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self.end(self.progress)

    def _start(self) -> None:
        self.progress.started = True
        self.begin()

    def _count(self, event: Event) -> None:
        self.progress.events_sent += 1
        self.progress.output_tokens += event.tokens
        self.progress.thinking_tokens += event.tokens if event.thinking else 0

    async def _silence(self) -> AsyncIterator[bytes]:
        left, every = self.answer.silence, self.answer.ping_every or self.answer.silence
        while left > 0:
            await self._pause(min(left, every))
            left -= every
            if left > 0:
                yield PING

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            try:
                await asyncio.wait_for(self.closing.wait(), seconds)
            except TimeoutError:
                return
            raise ConnectionCutError


class DeliveryResponse(Response):
    """A delivery as Starlette's response."""

    def __init__(self, run: Callable[[Receive, Send], Awaitable[None]]) -> None:
        super().__init__()
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._run(receive, send)


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def body_message(piece: bytes, *, more: bool = True) -> AsgiMessage:
    return {"type": "http.response.body", "body": piece, "more_body": more}


async def rechunked(pieces: AsyncIterator[bytes], sizes: Sequence[int]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of these sizes, over and over; the rest goes out at the end, or before a cut."""
    if not sizes:
        async for piece in pieces:
            yield piece
        return
    wanted: Iterator[int] = cycle(sizes)
    size, rest = next(wanted), b""
    try:
        async for piece in pieces:
            rest += piece
            while len(rest) >= size:
                yield rest[:size]
                rest, size = rest[size:], next(wanted)
                await asyncio.sleep(0)
    except ConnectionCutError:
        if rest:
            yield rest
        raise
    if rest:
        yield rest
