"""Answers on uvicorn's connections where httptools parses, written in fewer pieces.

uvicorn writes the head when it is told of it, and each write is a system call that wakes the client. Here it goes out
with the first bytes of the body, as ASGI asks for anyway, and its lines are checked together. All else is uvicorn's
`RequestResponseCycle`, and its rules are kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

NAMES: Final = 256
"""Header names of which it is known how they are written."""
IN_A_LINE: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
"""What a header's value may be made of (RFC 9110, section 5.5)."""
WITHOUT_A_BODY: Final = (204, 304)
WRITTEN_WITH_ITS_HEAD: Final = 64 * 1024
"""Bytes of a body up to which copying it is cheaper than a second write."""
LAST_CHUNK: Final = b"0\r\n\r\n"


class Answer:
    """Sends one answer. Raises RuntimeError for messages that make none."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._head = b""
        """While it waits for the first bytes of the body."""
        self._until_it_closes = False
        """Nothing but the end of the connection says where the body ends."""

    async def send(self, message: Any) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        expected = "http.response.body" if cycle.response_started else "http.response.start"
        if cycle.response_complete or message["type"] != expected:
            raise RuntimeError(f"{message['type']} was sent where {expected} belongs")
        if cycle.response_started:
            self._go_on(message.get("body", b""), is_last=not message.get("more_body", False))
        else:
            self._begin(message["status"], message.get("headers", ()))

    def _begin(self, status: int, headers: Any) -> None:
        cycle, closes = self._cycle, False
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        for given, value in (*cycle.default_headers, *headers):
            name = _written(given)
            lines.append(b"%b: %b\r\n" % (name, value))
            if name == b"content-length" and cycle.chunked_encoding is None:
                cycle.expected_content_length = int(value)
                cycle.chunked_encoding = False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                cycle.expected_content_length = 0
                cycle.chunked_encoding = True
            elif name == b"connection":
                closes = b"close" in [token.strip() for token in value.lower().split(b",")]
        if closes:
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        if cycle.chunked_encoding is None and cycle.scope["method"] != "HEAD" and status not in WITHOUT_A_BODY:
            self._until_it_closes = cycle.scope["http_version"] == "1.0"  # which knows no chunks, and never stays here
            if not self._until_it_closes:
                cycle.chunked_encoding = True
                lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        if head.translate(None, IN_A_LINE) != b"\r\n" * len(lines):
            raise RuntimeError("a header of the answer has a line end or a control character in it")
        self._head = head + b"\r\n"

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        cycle = self._cycle
        if cycle.scope["method"] == "HEAD":
            cycle.expected_content_length = 0
            self._write(b"")
        elif cycle.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._write(chunk + LAST_CHUNK if is_last else chunk)
        elif self._until_it_closes:
            self._write(body)
        elif len(body) > cycle.expected_content_length:
            raise RuntimeError("the answer is longer than its Content-Length")
        else:
            cycle.expected_content_length -= len(body)
            self._write(body)
        if is_last:
            self._end()

    def _write(self, piece: bytes) -> None:
        head, self._head = self._head, b""
        if head and len(piece) <= WRITTEN_WITH_ITS_HEAD:
            self._cycle.transport.write(head + piece)
            return
        for part in (head, piece):
            if part:
                self._cycle.transport.write(part)

    def _end(self) -> None:
        cycle = self._cycle
        if cycle.expected_content_length:
            raise RuntimeError("the answer is shorter than its Content-Length")
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


@lru_cache(NAMES)
def _written(name: bytes) -> bytes:
    if HEADER_RE.search(name):
        raise RuntimeError(f"{name!r} is not the name of a header")
    return name.lower()
