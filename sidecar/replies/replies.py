"""The answers that are kept: the newest in memory, all of them in a store.

A write takes a moment to reach the store, and a repeat may come sooner: memory has it at once. Longer than
`BELIEVED_SECONDS` memory is not believed, since another sidecar may have cleared what they share.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Final

from sidecar.exchange import Json
from sidecar.replies.recent import RecentReplies
from sidecar.replies.reply import CorruptReplyError, Reply
from sidecar.store.shelves import Shelf

NAMESPACE: Final = "replies"
SIZE_LIMIT_BYTES: Final = 256 * 1024 * 1024
"""On disk; in Redis its own `maxmemory` is the bound."""
LARGEST_BYTES: Final = 4 * 1024 * 1024
"""Of one answer as it came. A longer one is not kept."""
MEMORY_BYTES: Final = 16 * 1024 * 1024
BELIEVED_SECONDS: Final = 5.0
ON_THE_LOOP: Final = 128 * 1024
"""Bytes of an answer above which it is put together in a thread."""


class Replies:
    """`find` and `keep` never block; all else does, and is for a thread or a command."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf: Final = shelf
        self._recent: Final = RecentReplies(most_bytes=MEMORY_BYTES, seconds=BELIEVED_SECONDS)
        self._counts: Final[Counter[str]] = Counter(hits=0, misses=0, stored=0)

    @property
    def counts(self) -> dict[str, int]:
        """Since the start: hits, misses, stored, corrupt."""
        return {**self._counts, "corrupt": self._shelf.corrupt}

    # --- for requests

    async def find(self, key: str, now: float, *, max_age: float | None = None) -> tuple[Reply, Json] | None:
        """A kept answer and its message. `now` in epoch seconds, `max_age` in seconds."""
        reply = self._recent.get(key)
        if reply is None and not self._shelf.lacks(key):
            reply = await self._looked_up(key)
        if reply is None or not reply.is_fresh(now) or (max_age is not None and reply.age(now) > max_age):
            self._counts["misses"] += 1
            return None
        return await self._put_together(key, reply)

    async def find_again(self, key: str, now: float, *, max_age: float | None = None) -> tuple[Reply, Json] | None:
        """As `find`, of what memory has; nothing is counted where that is none."""
        reply = self._recent.get(key)
        if reply is None or not reply.is_fresh(now) or (max_age is not None and reply.age(now) > max_age):
            return None
        return await self._put_together(key, reply)

    async def _put_together(self, key: str, reply: Reply) -> tuple[Reply, Json] | None:
        try:
            small = len(reply.payload) <= ON_THE_LOOP
            message = reply.message() if small else await asyncio.to_thread(reply.message)
        except CorruptReplyError as error:
            self._drop(key, error)
            return None
        self._counts["hits"] += 1
        if reply.form != "message":
            self._recent.exchange(reply.put_together(message))
        return reply, message

    def keep(self, reply: Reply) -> None:
        if len(reply.payload) <= LARGEST_BYTES:
            self._counts["stored"] += 1
            self._recent.put(reply)
            self._shelf.put(reply.key, reply.to_bytes(), reply.ttl_seconds, project=reply.project)

    # --- for their owner

    def get(self, key: str) -> Reply | None:
        self._shelf.flush()
        return self._read(key)

    def all(self) -> Iterator[Reply]:
        """Every one that can be read, in no order."""
        self._shelf.flush()
        for key, entry in self._shelf.entries():
            if (reply := self._decoded(key, entry.value)) is not None:
                yield reply

    def clear(self, project: str | None = None) -> int:
        """Forget them all, or those of one project; returns how many they were."""
        keys = [reply.key for reply in self.all() if project in (None, reply.project)]
        self._shelf.forget(keys)
        self._recent.clear()
        return len(keys)

    # --- inside

    async def _looked_up(self, key: str) -> Reply | None:
        reply = await asyncio.to_thread(self._read, key)
        if (newer := self._recent.get(key)) is not None:  # kept while we looked
            return newer
        if reply is not None:
            self._recent.put(reply)
        return reply

    def _read(self, key: str) -> Reply | None:
        kept = self._shelf.get(key)
        return None if kept is None else self._decoded(key, kept)

    def _decoded(self, key: str, kept: bytes) -> Reply | None:
        try:
            return Reply.from_bytes(key, kept)
        except CorruptReplyError as error:
            self._drop(key, error)
            return None

    def _drop(self, key: str, error: CorruptReplyError) -> None:
        self._recent.forget(key)
        self._shelf.drop(key, error)
