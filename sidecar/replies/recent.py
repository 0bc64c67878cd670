"""The newest answers, in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from sidecar.replies.reply import Reply

OVERHEAD: Final = 1_000
"""Bytes that a reply takes besides its payload."""


class _Recent(NamedTuple):
    reply: Reply
    until: float


class RecentReplies:
    """Those used longest ago go first, and each after a while. Thread-safe."""

    def __init__(self, *, most_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes: Final = most_bytes
        self._seconds: Final = seconds
        self._clock: Final = clock
        self._lock: Final = threading.Lock()
        self._kept: OrderedDict[str, _Recent] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes that they take, about."""
        return self._bytes

    def get(self, key: str) -> Reply | None:
        with self._lock:
            recent = self._kept.get(key)
            if recent is None:
                return None
            if self._clock() >= recent.until:
                self._remove(key)
                return None
            self._kept.move_to_end(key)
            return recent.reply

    def put(self, reply: Reply) -> None:
        """Known for so many seconds from now."""
        with self._lock:
            self._put(reply, self._clock() + self._seconds)

    def exchange(self, reply: Reply) -> None:
        """The same answer in another form, known for as long as it was."""
        with self._lock:
            if (recent := self._kept.get(reply.key)) is not None:
                self._put(reply, recent.until)

    def forget(self, key: str) -> None:
        with self._lock:
            self._remove(key)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _put(self, reply: Reply, until: float) -> None:
        self._remove(reply.key)
        self._kept[reply.key] = _Recent(reply, until)
        self._bytes += len(reply.payload) + OVERHEAD
        now = self._clock()
        while self._kept and (self._bytes > self._most_bytes or next(iter(self._kept.values())).until <= now):
            self._remove(next(iter(self._kept)))

    def _remove(self, key: str) -> None:
        recent = self._kept.pop(key, None)
        if recent is not None:
            self._bytes -= len(recent.reply.payload) + OVERHEAD
