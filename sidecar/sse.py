"""Server-sent events as bytes: cut a byte stream into events, whatever way the network cut it.

Rules from the HTML standard, section 9.2: events end at a blank line, lines end in LF, CRLF or CR. Nothing is decoded
before its event is whole, so a UTF-8 character split over two reads is whole again before anyone looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self, overload

import orjson

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""A line end and another; atomic, so that a CRLF is never read as two. When the last LF of CRLF CRLF comes with the
next read, it stands before the next event, where an empty line means nothing."""

LONGEST_END: Final = 3
"""Bytes of a blank line that may be there before its last one comes."""

_USUAL = re.compile(rb"(event: ?([^\n ][^\n]*)\ndata: ?([^\n ][^\n]*)\n\n)")


@dataclass(slots=True)
class ServerSentEvent:
    """One event. `raw` is every byte of it, blank line included, for passing on unchanged."""

    name: bytes
    data: bytes
    raw: bytes
    _wire: Any = field(default=None, init=False, repr=False, compare=False)

    @property
    def wire(self) -> Any:
        """`data` as JSON, parsed once for all who ask: nobody may edit it. Raises ValueError for what is none."""
        if self._wire is None:
            self._wire = orjson.loads(self.data)
        return self._wire


class Around(NamedTuple):
    """Events that came together, in three parts."""

    before: Sequence[ServerSentEvent]
    deltas: bytes
    """From the first delta to the last one; there may be other events among them."""
    behind: Sequence[ServerSentEvent]


class Events(Sequence[ServerSentEvent]):
    """Events that came together: their bytes, and each by itself only for whoever looks at it."""

    __slots__ = ("_around", "_events", "raw")

    def __init__(self, raw: bytes, events: Sequence[ServerSentEvent] | None = None) -> None:
        """`raw` are whole events, with LF for line ends where `events` are not given."""
        self.raw = raw
        self._events = events
        self._around: Around | None = None

    @classmethod
    def of(cls, events: Sequence[ServerSentEvent]) -> Self:
        return cls(b"".join([event.raw for event in events]), events)

    @property
    def around(self) -> Around:
        """The same events as `around_deltas` cuts them: most who read need not look at a delta by itself."""
        if self._around is None:
            before, deltas, behind = around_deltas(self.raw)
            if deltas:
                self._around = Around(_all(before) if before else (), deltas, _all(behind) if behind else ())
            else:
                self._around = Around(self._parsed(), b"", ())
        return self._around

    @overload
    def __getitem__(self, index: int) -> ServerSentEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ServerSentEvent]: ...
    def __getitem__(self, index: int | slice) -> ServerSentEvent | Sequence[ServerSentEvent]:
        return self._parsed()[index]

    def __bool__(self) -> bool:
        """Told without a look at any."""
        return bool(self.raw)

    def __len__(self) -> int:
        return len(self._parsed())

    def __iter__(self) -> Iterator[ServerSentEvent]:
        return iter(self._parsed())

    def _parsed(self) -> Sequence[ServerSentEvent]:
        if self._events is None:
            self._events = _all(self.raw)
        return self._events


DELTA = b"event: content_block_delta\ndata: "
"""How the events begin that a stream has most of."""


def around_deltas(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Whole events, cut before the first delta and behind the last one; what is between may still have others in it.
    Where there is none, and where lines end in another way than with LF, all of it comes first."""
    first = raw.find(DELTA)
    if first < 0 or b"\r" in raw or (first and raw[first - 2 : first] != b"\n\n"):
        return raw, b"", b""
    behind = raw.find(b"\n\n", raw.rfind(DELTA)) + 2
    return raw[:first], raw[first:behind], raw[behind:]


def raw_of(events: Iterable[ServerSentEvent]) -> bytes:
    return events.raw if isinstance(events, Events) else b"".join([event.raw for event in events])


class EventSplitter:
    """`feed(bytes) -> events`; the unfinished rest stays inside."""

    def __init__(self, *, limit: int = 16 * 1024 * 1024) -> None:
        self._limit = limit
        self._waiting: list[bytes] = []
        """The beginning of an event, as it came."""
        self._size = 0
        self._end = b""
        """The last of these bytes: a blank line may begin in them."""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that `chunk` completes. Raises ValueError when one event grows past the limit (bytes)."""
        return [] if (whole := self._with_what_waits(chunk)) is None else self._cut(whole)

    def take(self, chunk: bytes) -> Events | None:
        """As `feed`, and nothing is looked at yet; None where no event is complete."""
        whole = self._with_what_waits(chunk) if self._waiting else chunk
        if whole is None:
            return None
        end = whole.rfind(b"\n\n") + 2
        if b"\r" in whole or whole.endswith(b"\n\n\n", 0, end):  # one of the last two may begin the next event
            events = self._cut(whole)
            return Events.of(events) if events else None
        if end == 1:
            self._keep(whole)
            return None
        if self._waiting or end < len(whole):
            self._keep(whole[end:])
        return Events(whole[:end])

    @property
    def rest(self) -> bytes:
        """Bytes of an event that never ended."""
        return b"".join(self._waiting)

    def _with_what_waits(self, chunk: bytes) -> bytes | None:
        """None where no event ends with it: one of many megabytes is not looked through again with each chunk."""
        if not self._waiting:
            return chunk
        seam = self._end + chunk
        self._wait(chunk, seam)
        if b"\n\n" in seam or (b"\r" in seam and _BLANK_LINE.search(seam)):
            return b"".join(self._waiting)
        self._check()
        return None

    def _cut(self, whole: bytes) -> list[ServerSentEvent]:
        if b"\r" in whole:
            return self._cut_at_any_line_end(whole)
        blocks = whole.split(b"\n\n")
        self._keep(blocks.pop())
        return [_parse(block, block + b"\n\n") for block in blocks]

    def _cut_at_any_line_end(self, whole: bytes) -> list[ServerSentEvent]:
        events = []
        start = 0
        for blank in _BLANK_LINE.finditer(whole):
            block = whole[start : blank.start()].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            events.append(_parse(block, whole[start : blank.end()]))
            start = blank.end()
        self._keep(whole[start:])
        return events

    def _keep(self, rest: bytes) -> None:
        self._waiting.clear()
        self._size = 0
        if rest:
            self._wait(rest, rest)
            self._check()

    def _wait(self, more: bytes, seam: bytes) -> None:
        self._waiting.append(more)
        self._size += len(more)
        self._end = seam[-LONGEST_END:]

    def _check(self) -> None:
        if self._size > self._limit:
            raise ValueError(f"a server-sent event is longer than {self._limit} bytes")


def _all(raw: bytes) -> list[ServerSentEvent]:
    """Whole events, with LF for line ends."""
    usual = _USUAL.findall(raw)
    if sum([len(event) for event, _, _ in usual]) == len(raw):
        return [ServerSentEvent(name, data, event) for event, name, data in usual]
    return [_parse(block, block + b"\n\n") for block in raw.split(b"\n\n")[:-1]]


def _parse(block: bytes, raw: bytes) -> ServerSentEvent:
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"data":
            data.append(value)
        elif key == b"event":
            name = value
    return ServerSentEvent(name, data[0] if len(data) == 1 else b"\n".join(data), raw)
