"""Server-sent events as bytes: cut a byte stream into events, whatever way the network cut it.

Rules from the HTML standard, section 9.2: events end at a blank line, lines end in LF, CRLF or CR. Nothing is decoded
here, so a UTF-8 character split over two reads is whole again before anyone looks at it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""A line end and another; atomic, so that a CRLF is never read as two. When the last LF of CRLF CRLF comes with the
next read, it stands before the next event, where an empty line means nothing."""


class ServerSentEvent(NamedTuple):
    """One event. `raw` is every byte of it, blank line included, for passing on unchanged."""

    name: bytes
    data: bytes
    raw: bytes


class EventSplitter:
    """`feed(bytes) -> events`; the unfinished rest stays inside."""

    def __init__(self, *, limit: int = 64 * 1024 * 1024) -> None:
        self._rest = b""
        self._limit = limit

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that `chunk` completes. Raises ValueError when one event grows past the limit (bytes)."""
        rest = self._rest + chunk if self._rest else chunk
        if b"\r" in rest:
            return self._feed_any_line_end(rest)
        blocks = rest.split(b"\n\n")
        self._keep(blocks.pop())
        return [_parse(block, block + b"\n\n") for block in blocks]

    @property
    def rest(self) -> bytes:
        """Bytes of an event that never ended."""
        return self._rest

    def _keep(self, rest: bytes) -> None:
        if len(rest) > self._limit:
            raise ValueError(f"a server-sent event is longer than {self._limit} bytes")
        self._rest = rest

    def _feed_any_line_end(self, rest: bytes) -> list[ServerSentEvent]:
        events = []
        start = 0
        for blank in _BLANK_LINE.finditer(rest):
            block = rest[start : blank.start()].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            events.append(_parse(block, rest[start : blank.end()]))
            start = blank.end()
        self._keep(rest[start:])
        return events


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
