"""The client: raw connections, and a check of every answer. An answer that is wrong, cut or late is never fast: it ends
the run."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

_STATUS = b"HTTP/1.1 200"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_DELTA = re.compile(rb'"text_delta"|"delta":{(?:"role":"assistant",)?"content":"[^"]')
_MOMENT = re.compile(rb"at-(\d{20}) ")
LAST_CHUNK = b"\r\n0\r\n\r\n"
PATIENCE = 60.0


class WrongAnswerError(Exception):
    """What came is not what was asked for."""


@dataclass(frozen=True)
class Ask:
    """One request, and what its answer must have in it."""

    body: bytes
    mark: bytes
    deltas: int = 0
    """Of a stream; 0 asks for an answer in one piece."""


@dataclass
class Measured:
    seconds: list[float] = field(default_factory=list)
    """From the request to the end of its answer."""
    first: list[float] = field(default_factory=list)
    """To the first delta."""
    delays: list[float] = field(default_factory=list)
    """Of each delta that says when it was sent."""
    took: float = 0.0
    """All of it."""
    cpu: float = 0.0
    """Seconds of the server's, all of its threads together."""
    deltas: int = 0


class Connection(asyncio.Protocol):
    """One kept-alive connection; one request at a time. Opened again where the server gave it up in a pause."""

    def __init__(self, address: tuple[str, int], head: bytes, measured: Measured) -> None:
        self._address = address
        self._transport: asyncio.Transport | None = None
        self._head = head
        self._measured = measured
        self._pieces: list[bytes] = []
        self._done: asyncio.Future[bytes] | None = None
        self._first = 0.0
        self._stream, self._chunked = False, False
        self._mark: bytes | None = None
        self._missing: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(WrongAnswerError(f"the connection was closed: {error}"))

    def data_received(self, data: bytes) -> None:
        if self._done is not None and not self._done.done():  # else the server gave up an idle connection
            self._take(data)

    def _take(self, data: bytes) -> None:
        pieces = self._pieces
        pieces.append(data)
        if self._stream:
            if self._mark is not None and self._mark in data:
                self._first = time.perf_counter()
                self._mark = None
            if b"at-" in data:
                now = time.monotonic_ns()
                self._measured.delays += [(now - int(sent)) / 1e9 for sent in _MOMENT.findall(data)]
        if self._missing is None:
            seen = b"".join(pieces)
            end = seen.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(seen, 0, end)
            if not seen.startswith(_STATUS):
                self._end(seen)
            elif found is not None:
                self._missing = int(found[1]) - (len(seen) - end - 4)
            else:
                self._missing, self._chunked = 1, True
        elif not self._chunked:
            self._missing -= len(data)
        if self._chunked:
            last = data if len(data) >= len(LAST_CHUNK) or len(pieces) == 1 else pieces[-2][-4:] + data
            if last.endswith(LAST_CHUNK):
                self._end(b"".join(pieces))
        elif self._missing is not None and self._missing <= 0:
            self._end(b"".join(pieces))

    def _end(self, answer: bytes) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(answer)

    async def ask(self, ask: Ask) -> None:
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            await loop.create_connection(lambda: self, *self._address)
        assert self._transport is not None
        self._pieces, self._missing, self._chunked = [], None, False
        self._stream, self._mark, self._first = bool(ask.deltas), ask.mark, 0.0
        self._done = loop.create_future()
        begin = time.perf_counter()
        self._transport.write(self._head % len(ask.body) + ask.body)
        answer = await asyncio.wait_for(self._done, PATIENCE)
        end = time.perf_counter()
        check(ask, answer)
        self._measured.seconds.append(end - begin)
        if self._first:
            self._measured.first.append(self._first - begin)
        self._measured.deltas += ask.deltas

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def check(ask: Ask, answer: bytes) -> None:
    """Raises WrongAnswerError."""
    problem = None
    if not answer.startswith(_STATUS):
        problem = "not a 200"
    elif ask.mark not in answer:
        problem = f"{ask.mark!r} is not in it"
    elif ask.deltas:
        deltas = len(_DELTA.findall(answer))
        if deltas != ask.deltas:
            problem = f"{deltas} deltas instead of {ask.deltas}"
        elif b"[DONE]" not in answer[-300:] and b"message_stop" not in answer[-300:]:
            problem = "no end mark"
    if problem is not None:
        raise WrongAnswerError(f"{problem}: {answer[:600]!r} ... {answer[-300:]!r}")


async def run(
    url: str,
    path: str,
    headers: dict[str, str],
    conversations: Sequence[Iterator[Ask]],
    *,
    each: int,
    cpu: Callable[[], float],
) -> Measured:
    """Each of the conversations on a connection of its own, all at once, `each` requests one behind the other. What
    opens a conversation and its connections is not counted. `cpu` tells the server's seconds so far."""
    measured = Measured()
    host, _, port = url.removeprefix("http://").partition(":")
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n{told}".encode()
        + b"content-length: %d\r\n\r\n"
    )
    connections = [Connection((host, int(port)), head, measured) for _ in conversations]

    async def talk(connection: Connection, asks: Iterator[Ask]) -> None:
        for _ in range(each):
            await connection.ask(next(asks))

    try:
        # Opens connections here and upstream, and the conversations.
        await asyncio.gather(*(one.ask(next(asks)) for one, asks in zip(connections, conversations, strict=True)))
        for values in (measured.seconds, measured.first, measured.delays):
            values.clear()
        measured.deltas = 0
        before, begin = cpu(), time.perf_counter()
        await asyncio.gather(*(talk(*one) for one in zip(connections, conversations, strict=True)))
        measured.took = time.perf_counter() - begin
        measured.cpu = cpu() - before
    finally:
        for connection in connections:
            connection.close()
    return measured
