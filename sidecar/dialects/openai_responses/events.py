"""The events of a response's stream as bytes, numbered in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson


class Events:
    def __init__(self) -> None:
        self._sequence = 0

    def event(self, kind: str, **fields: Any) -> bytes:
        body = orjson.dumps({"type": kind, **fields, "sequence_number": self._next()})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), body)

    def deltas(self, kind: str, **fields: Any) -> Callable[[str], bytes]:
        """The many events that differ in their `delta` alone."""
        before = b"event: %b\ndata: %b" % (kind.encode(), orjson.dumps({"type": kind, **fields})[:-1] + b',"delta":')

        def delta(text: str) -> bytes:
            return b'%b%b,"sequence_number":%d}\n\n' % (before, orjson.dumps(text), self._next())

        return delta

    def _next(self) -> int:
        number = self._sequence
        self._sequence += 1
        return number
