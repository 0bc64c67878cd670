"""The ASGI side of a long answer: an event stream that is never silent for long, and a client that may leave at any
moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from starlette.types import Receive, Send

PING = b": ping\n\n"
"""An SSE comment: every client skips it (HTML standard, section 9.2.6)."""

WATCHED_AFTER: Final = 0.05
"""Seconds that an answer may take before anybody looks whether its client is still there."""

SSE_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


class EventStream:
    """Sends the head with the first bytes, and a comment whenever `ping_seconds` went by without any.

    Write whole events only: a comment may come between any two writes. Use as an async context manager.
    """

    def __init__(self, send: Send, head: Callable[[], Mapping[str, str]], *, ping_seconds: float) -> None:
        self._send = send
        self._head = head
        self._ping_seconds = ping_seconds
        self._opening = asyncio.Lock()
        self._head_sent = False
        self.opened = False
        """Whether the status is already with the client, so that an error can only be told inside the stream."""
        self._loop = asyncio.get_running_loop()
        self._last_write = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> EventStream:
        self._timer = self._loop.call_later(self._ping_seconds, self._listen_for_silence)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._ping is not None:
            self._ping.cancel()
            await asyncio.wait({self._ping})

    async def write(self, events: bytes) -> None:
        if not events:
            return
        if not self._head_sent:
            await self._open()
        self._last_write = self._loop.time()
        await self._send({"type": "http.response.body", "body": events, "more_body": True})

    async def end(self) -> None:
        if not self._head_sent:
            await self._open()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _open(self) -> None:
        async with self._opening:
            if self._head_sent:
                return
            self.opened = True
            headers = asgi_headers({**SSE_HEADERS, **self._head()})
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            self._head_sent = True

    def _listen_for_silence(self) -> None:
        due = self._last_write + self._ping_seconds
        now = self._loop.time()
        if now >= due:
            due = now + self._ping_seconds
            if self._ping is None or self._ping.done():
                self._ping = self._loop.create_task(self.write(PING), name="ping a silent stream")
        self._timer = self._loop.call_at(due, self._listen_for_silence)


class CancelledWhenGone:
    """Cancels what runs inside as soon as the client disconnects, and swallows that cancellation at its edge. Use as a
    context manager.

    Whoever watches is a task, and begins after `WATCHED_AFTER`: what is over by then needs none.
    """

    __slots__ = ("_gone", "_receive", "_task", "_timer", "_watcher")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCHED_AFTER, self._begin)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        assert self._timer is not None
        assert self._task is not None
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        return self._gone and isinstance(error, asyncio.CancelledError) and not self._task.uncancel()

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch(), name="watch for a client that leaves")

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        assert self._task is not None
        self._task.cancel()


async def send_whole(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """An answer of JSON, in one piece."""
    told = asgi_headers(headers)
    told.append((b"content-type", b"application/json"))
    told.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


def asgi_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(_name(name), value.encode("latin-1", "replace")) for name, value in headers.items()]


@lru_cache(256)
def _name(name: str) -> bytes:
    return name.encode("latin-1")
