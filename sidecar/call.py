"""One call to Claude, and everybody who reads its answer.

The call runs in a task of its own, so that whoever asked first may leave like anybody else; the last one to leave
cancels it. What arrives stays on a *tape* while the call runs: whoever joins late reads from its beginning, and every
reader goes at its own speed. The tape is bounded: Claude waits while no reader has room for more, and a reader that is
a whole tape behind one that keeps up is given up.

Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import perf_counter
from typing import Any, Final

from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.sse import Events, EventSplitter, ServerSentEvent

log = logging.getLogger(__name__)

TAPE_BYTES: Final = 16 * 1024 * 1024
"""More than the longest answer of today's models takes, event by event."""

HEAP_BYTES: Final = 64 * 1024
"""What is told of at once to those that keep what they read to themselves: they need not hear of each delta."""


@dataclass(eq=False, slots=True)
class Reader:
    """One place at the tape of a call."""

    call: Call
    position: int = 0
    """How many of the tape's pieces it has read."""
    begins: bool = True
    """Whether what it read last is the beginning of the answer."""
    may_rewind: bool = False
    """Whether it keeps what it reads to itself until the end: then it reads in heaps."""
    error: GatewayError | None = None
    """Why it cannot go on, where the others can."""


class Call:
    """`begin` it once; then `write` what arrives, or set `body` where it comes in one piece. `join` and `leave` it."""

    def __init__(self, leader: Exchange, *, tape_bytes: int = TAPE_BYTES) -> None:
        self.leader: Final = leader
        """The exchange whose request goes to Claude, and on whose account."""
        self.body: bytes | None = None
        """The answer to a request that asked for no stream."""
        self.has_begun = False
        """Whether layers have seen the request and chosen the model: it is on its way."""
        self.has_ended = False
        self.error: BaseException | None = None
        """Why it ended without a complete answer."""
        self._tape_bytes: Final = tape_bytes
        self._tape: deque[bytes] = deque()
        """The bytes of whole events, as they arrived together."""
        self._whole: bytes | None = None
        """All of them, once there are no more to come."""
        self._newest: Sequence[ServerSentEvent] = ()
        """The last of them as events: whoever keeps up need not read them from bytes again."""
        self._let_go = 0
        """How many pieces are no longer on the tape."""
        self._size = 0
        self._readers: list[Reader] = []
        self._waiting: list[asyncio.Future[None]] = []
        """Readers without anything to read."""
        self._waiting_for_heaps: list[asyncio.Future[None]] = []
        """The same, of those for which each piece is too little."""
        self._heap_bytes: Final = min(HEAP_BYTES, tape_bytes // 2)
        self._heaped = 0
        """Bytes since those were woken."""
        self._was_read: Final = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._cut: GatewayError | None = None
        self._callbacks: list[Callable[[], None]] = []
        self.on_content: Callable[[], None] | None = None
        """Told once, when the answer begins to be passed on."""

    @property
    def is_complete(self) -> bool:
        """Whether all of the answer came, and was good."""
        return self.has_ended and self.error is None

    @property
    def may_be_joined(self) -> bool:
        """Whether somebody who comes now would get all of it."""
        forsaken = self.has_begun and not self._readers
        return not (self.has_ended or forsaken or self._let_go)

    @property
    def is_blank(self) -> bool:
        """Whether nothing of the answer has come that a reader may have passed on."""
        return not (self._tape or self._let_go) and self.body is None

    @property
    def tape(self) -> bytes | None:
        """Every event so far, as it came; None where they were too many to be kept."""
        if self._let_go:
            return None
        if not self.has_ended:
            return b"".join(self._tape)
        if self._whole is None:  # whoever keeps it keeps the same bytes
            self._whole = b"".join(self._tape)
        return self._whole

    # --- for its leader

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which writes what arrives. The call ends with it; what it raises is the readers' to hear."""
        self.has_begun = True
        self._task = asyncio.create_task(work, name=f"ask Claude for {self.leader.id}")
        self._task.add_done_callback(self._finished)
        self._tell()

    def abandon(self) -> None:
        """It will not begin. Nothing happens where it already has."""
        if not self.has_begun:
            self._end(asyncio.CancelledError("abandoned"))

    def cut(self, error: GatewayError) -> None:
        """Ask no more, whoever reads: all of them hear `error` behind what came."""
        if self._task is not None and not self.has_ended:
            self._cut = error
            self._task.cancel()

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call this once it has ended, at once where it already has."""
        if self.has_ended:
            callback()
        else:
            self._callbacks.append(callback)

    async def write(self, events: Sequence[ServerSentEvent]) -> None:
        """Put events on the tape; waits while there is no room and nobody reads."""
        if not isinstance(events, Events):
            if not events:
                return
            events = Events.of(events)
        if self.on_content is not None:
            told, self.on_content = self.on_content, None
            told()
        raw = events.raw
        self._tape.append(raw)
        self._newest = events
        self._size += len(raw)
        self._heaped += len(raw)
        if self._heaped >= self._heap_bytes:
            self._tell()
        elif self._waiting:
            waiting, self._waiting = self._waiting, []
            _wake(waiting)
        while self._size > self._tape_bytes and not self._has_room():
            self._was_read.clear()
            await self._was_read.wait()

    def begin_anew(self, otherwise: GatewayError) -> bool:
        """Forget what came, since the answer begins once more. Whoever has passed some of it on hears `otherwise`;
        False where that is everybody."""
        for reader in self._readers:
            if reader.position and not reader.may_rewind:
                reader.error = otherwise
            reader.position = 0
        self._tape.clear()
        self._let_go = self._size = 0
        self._tell()
        return any(reader.error is None for reader in self._readers)

    # --- for its readers

    def join(self) -> Reader:
        """One reader more, from the beginning."""
        reader = Reader(self)
        self._readers.append(reader)
        return reader

    async def comes(self) -> bool:
        """Waits until it is on its way to Claude; False when it never will be."""
        while not (self.has_begun or self.has_ended):
            await self._news(self._waiting)
        return self.has_begun

    async def read(self, reader: Reader) -> Sequence[ServerSentEvent] | None:
        """What came since the reader last asked, once there is something; None at the end.

        Raises what ended the call before its answer was complete, once all that came before was read.
        """
        while reader.error is None:
            unread = self._let_go + len(self._tape) - reader.position
            if unread and (not reader.may_rewind or self.has_ended or self._is_heap(unread)):
                return self._read(reader, unread)
            if self.has_ended:
                break
            await self._news(self._waiting_for_heaps if reader.may_rewind else self._waiting)
        error = reader.error or self.error
        if isinstance(error, GatewayError):
            raise replace(error)  # everybody's own: it takes on tracebacks where it is raised
        if error is not None:
            raise error
        return None

    def leave(self, reader: Reader) -> None:
        """Ask no more. The last one to leave cancels the call. May be called again."""
        if reader not in self._readers:
            return
        self._readers.remove(reader)
        self._was_read.set()
        if not self._readers and self._task is not None:
            self._task.cancel()

    def _read(self, reader: Reader, unread: int) -> Sequence[ServerSentEvent]:
        reader.begins = not reader.position
        reader.position += unread
        self._was_read.set()
        if unread == 1:
            return self._newest
        return EventSplitter().take(b"".join(islice(self._tape, len(self._tape) - unread, None))) or ()

    # --- inside

    def _has_room(self) -> bool:
        """Lets go of what all have read and, where one has read everything, of the readers that are far behind it."""
        while self._size > self._tape_bytes and self._readers:
            positions = [reader.position for reader in self._readers]
            slowest = min(positions)
            if slowest > self._let_go:
                self._size -= sum(len(self._tape.popleft()) for _ in range(slowest - self._let_go))
                self._let_go = slowest
            elif max(positions) < self._let_go + len(self._tape):
                return False
            else:
                self._give_up([reader for reader in self._readers if reader.position == slowest])
        return True

    def _give_up(self, readers: list[Reader]) -> None:
        for reader in readers:
            reader.error = GatewayError(
                "api_error",
                "This client reads too slowly: an answer that it shares with another client went on without it.",
                code="left_behind",
            )
            self._readers.remove(reader)
        self._tell()

    def _finished(self, task: asyncio.Task[None]) -> None:
        cancelled = self._cut or asyncio.CancelledError("cancelled")
        self._end(cancelled if task.cancelled() else task.exception())

    def _end(self, error: BaseException | None) -> None:
        self.has_ended = True
        self.error = error
        self._tell()
        if self._callbacks:  # the readers go first
            asyncio.get_running_loop().call_soon(self._call_back)

    def _call_back(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                log.exception("the end of request %s was not told to %s", self.leader.id, callback)

    def _is_heap(self, unread: int) -> bool:
        pieces = islice(self._tape, len(self._tape) - unread, None)
        return sum(map(len, pieces)) >= self._heap_bytes

    def _news(self, waits: list[asyncio.Future[None]]) -> asyncio.Future[None]:
        """Done once these are woken. An `asyncio.Event` would do, and cost more at each read of the network."""
        future = asyncio.get_running_loop().create_future()
        waits.append(future)
        return future

    def _tell(self) -> None:
        """Wakes everybody who waits now; who waits from here on waits for the next time."""
        waiting = [*self._waiting, *self._waiting_for_heaps]
        self._waiting, self._waiting_for_heaps, self._heaped = [], [], 0
        _wake(waiting)


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():  # who gave up waiting cancelled it
            future.set_result(None)


def share(exchange: Exchange, call: Call) -> None:
    """Tell an exchange that joined all that is known so far of the answer it shares."""
    leader = call.leader
    timing = exchange.timing
    if timing.first_byte is None and leader.timing.first_byte is not None:
        timing.first_byte = max(leader.timing.first_byte, timing.joined or timing.received)
    timing.upstream_ended = perf_counter()
    exchange.model, exchange.route_reason, exchange.fallback = leader.model, leader.route_reason, leader.fallback
    exchange.upstream_headers = leader.upstream_headers
    exchange.message_id = leader.message_id
    exchange.stop_reason = leader.stop_reason
    exchange.spared = replace(leader.usage)
    exchange.notes.extend(note for note in leader.notes if note not in exchange.notes)
