"""How long and how large the head of a request may be, whoever parses it."""

from __future__ import annotations

from typing import Final

HEAD_BYTES: Final = 64 * 1024
"""Of a head that is not complete, its address included; clients send some 2 KB. What comes in one read is taken as a
whole."""

HEAD_SECONDS: Final = 15.0
"""From a request's first byte to the end of its head; on loopback it takes a millisecond."""

TOO_LARGE: Final = b"431 Request Header Fields Too Large"
TOO_SLOW: Final = b"408 Request Timeout"


def refusal(status: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status
