"""What happens, as it happens, for everybody who watches: batches ten times a second, and how the sidecar is.

A request pays for it with one row, some microseconds. Everything else happens in a task that only runs while somebody
watches; a watcher that does not keep up loses the oldest batches and is told how many, and holds nobody up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import orjson

from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json
from sidecar.feed.kept import KeptExchanges
from sidecar.feed.rows import row_of, tick_of

RECENT: Final = 1000
"""Rows that a new watcher begins with."""
BATCH_SECONDS: Final = 0.1
STATE_SECONDS: Final = 2.0
QUEUED_BATCHES: Final = 100
"""What may wait for one watcher: ten seconds of a busy sidecar."""
PENDING: Final = 5000
"""Events that may wait for the next batch."""
SETTLING_SECONDS: Final = 0.5


class Watcher:
    """One place at the feed."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque(maxlen=QUEUED_BATCHES)
        self._news = asyncio.Event()
        self._closed = False
        self.dropped = 0
        """Batches that it missed."""

    def push(self, event: bytes) -> None:
        self.dropped += len(self._queue) == QUEUED_BATCHES
        self._queue.append(event)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events until the feed closes."""
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()


class Feed:
    """`begun`, `ended` and `refused` are told what happens; `watch` gives it on."""

    def __init__(self, kept: KeptExchanges) -> None:
        self._kept = kept
        self._hello: Callable[[], Json] = dict
        self._state: Callable[[], Json] = dict
        self._recent: deque[Json] = deque(maxlen=RECENT)
        self._running: dict[str, Exchange] = {}
        self._ends: dict[str, asyncio.Event] = {}
        """Of those that run and that somebody asked for."""
        self._delivered: dict[str, int] = {}
        self._begun: deque[Exchange] = deque(maxlen=PENDING)
        self._ended: deque[Json] = deque(maxlen=PENDING)
        self._refused: deque[Json] = deque(maxlen=PENDING)
        self._watchers: set[Watcher] = set()
        self._ticker: asyncio.Task[None] | None = None

    def speak_of(self, *, hello: Callable[[], Json], state: Callable[[], Json]) -> None:
        """`hello` says which sidecar this is, `state` how it is."""
        self._hello = hello
        self._state = state

    # --- what happens

    def begun(self, exchange: Exchange) -> None:
        self._running[exchange.id] = exchange
        if self._watchers:
            self._begun.append(exchange)

    def ended(self, exchange: Exchange) -> None:
        """Once it is settled."""
        self._running.pop(exchange.id, None)
        self._delivered.pop(exchange.id, None)
        row = row_of(exchange)
        row["has_body"] = self._kept.add(exchange, row)
        self._recent.append(row)
        if (end := self._ends.pop(exchange.id, None)) is not None:
            end.set()
        if self._watchers:
            self._ended.append(row)

    def refused(self, method: str, path: str, status: int, error: GatewayError) -> None:
        """A request that never became an exchange."""
        if self._watchers:
            self._refused.append(
                {"time": _now(), "method": method, "path": path, "status": status, "message": error.message}
            )

    async def come_to_its_end(self, request_id: str) -> None:
        """Returns once it does not run, or `SETTLING_SECONDS` are over: who has read an answer to its end may ask
        before it is settled."""
        if request_id not in self._running:
            return
        end = self._ends.setdefault(request_id, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLING_SECONDS):
                await end.wait()

    def has_body(self, request_id: str) -> bool:
        return request_id in self._kept

    # --- who watches

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    async def watch(self) -> AsyncIterator[bytes]:
        """Server-sent events: what is known, and from then on what happens, until the feed closes."""
        watcher = Watcher()
        self._watchers.add(watcher)
        if self._ticker is None:
            self._ticker = asyncio.create_task(self._tick(), name="tell the dashboards")
        try:
            yield _event("hello", self._first_picture())
            async for event in watcher.events():
                yield event
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """Every watcher's stream ends, so that a server that stops need not wait for them."""
        for watcher in self._watchers:
            watcher.close()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    def _first_picture(self) -> Json:
        rows = [{**row, "has_body": row["id"] in self._kept} for row in self._recent]
        rows += [row_of(exchange) for exchange in self._running.values()]
        return {**self._hello(), "time": _now(), "rows": rows[-RECENT:], "state": self.told_state()}

    async def _tick(self) -> None:
        told = 0.0
        while self._watchers:
            await asyncio.sleep(BATCH_SECONDS)
            if batch := self._batch():
                self._push(_event("batch", {"time": _now(), **batch}))
            if time.monotonic() - told >= STATE_SECONDS:
                told = time.monotonic()
                self._push(_event("state", self.told_state()))
        self._ticker = None

    def _batch(self) -> Json:
        ended = _drained(self._ended)
        gone = {row["id"] for row in ended}
        begun = [row_of(exchange) for exchange in _drained(self._begun) if exchange.id not in gone]
        found = {"begun": begun, "ticks": self._ticks(), "ended": ended, "refused": _drained(self._refused)}
        return {name: events for name, events in found.items() if events}

    def _ticks(self) -> list[Json]:
        ticks = []
        for exchange in self._running.values():
            if exchange.delivered != self._delivered.get(exchange.id, 0):
                self._delivered[exchange.id] = exchange.delivered
                ticks.append(tick_of(exchange))
        return ticks

    def told_state(self) -> Json:
        """How the sidecar is, which requests run, and how many batches its watchers missed."""
        dropped = sum(watcher.dropped for watcher in self._watchers)
        return {**self._state(), "running": list(self._running), "dropped": dropped}

    def _push(self, event: bytes) -> None:
        for watcher in self._watchers:
            watcher.push(event)


def _drained(queue: deque[Any]) -> list[Any]:
    drained = []
    with contextlib.suppress(IndexError):
        while True:
            drained.append(queue.popleft())
    return drained


def _event(name: str, content: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(content))


def _now() -> float:
    return round(time.time(), 3)
