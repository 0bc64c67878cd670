"""Where the thinking of Claude's newest answers waits for the turn that it belongs to: in memory, and on a shelf that
outlives the process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from sidecar.store.shelves import Shelf
from sidecar.thinking import CorruptThinkingError, KeptThinking

NAMESPACE: Final = "thinking"
SIZE_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""On disk; in Redis its own `maxmemory` is the bound."""
KEPT_SECONDS: Final = 14 * 24 * 3600
"""As long as a conversation is remembered."""
LARGEST_BYTES: Final = 2 * 1024 * 1024
"""Of one answer's thinking. More is not kept."""
MEMORY_BYTES: Final = 16 * 1024 * 1024
MEMORY_ENTRIES: Final = 4_000

_Answer = tuple[str, str]
"""The project, and Claude's id of the answer."""


class ThinkingShelf:
    """By project and Claude's id of the answer. Belongs to the event loop."""

    def __init__(self, shelf: Shelf, *, most_bytes: int = MEMORY_BYTES, most_entries: int = MEMORY_ENTRIES) -> None:
        self._shelf: Final = shelf
        self._most_bytes: Final = most_bytes
        self._most_entries: Final = most_entries
        self._recent: OrderedDict[_Answer, tuple[KeptThinking | None, int]] = OrderedDict()
        """And how many bytes each takes. None for an answer without: then the store need not be asked."""
        self._bytes = 0

    def __len__(self) -> int:
        """How many answers memory knows of."""
        return len(self._recent)

    def keep(self, project: str, answer: str, thinking: KeptThinking | None) -> None:
        told = b"" if thinking is None else thinking.to_bytes()
        if len(told) > LARGEST_BYTES:
            thinking, told = None, b""
        self._remember((project, answer), thinking, len(told))
        if thinking is not None:
            self._shelf.put(_key(project, answer), told, KEPT_SECONDS, project=project)

    def is_without(self, project: str, answer: str) -> bool:
        """Whether it is known, without a look into the store, that there is none."""
        recent = self._recent.get((project, answer))
        return recent is not None and recent[0] is None

    async def find(self, project: str, answer: str, now: float) -> KeptThinking | None:
        """`now` in epoch seconds."""
        asked = project, answer
        if asked not in self._recent:
            key = _key(project, answer)
            if self._shelf.lacks(key):
                return None
            thinking, size = await asyncio.to_thread(self._read, key)
            if asked not in self._recent:  # kept while we looked
                self._remember(asked, thinking, size)
        thinking, _ = self._recent[asked]
        return thinking if thinking is not None and now - thinking.at < KEPT_SECONDS else None

    def _read(self, key: str) -> tuple[KeptThinking | None, int]:
        told = self._shelf.get(key)
        if told is None:
            return None, 0
        try:
            return KeptThinking.from_bytes(told), len(told)
        except CorruptThinkingError as error:
            self._shelf.drop(key, error)
            return None, 0

    def _remember(self, answer: _Answer, thinking: KeptThinking | None, size: int) -> None:
        _, before = self._recent.pop(answer, (None, 0))
        self._recent[answer] = (thinking, size)
        self._bytes += size - before
        while len(self._recent) > 1 and (len(self._recent) > self._most_entries or self._bytes > self._most_bytes):
            _, (_, gone) = self._recent.popitem(last=False)
            self._bytes -= gone


def _key(project: str, answer: str) -> str:
    return blake2b(f"{project}\0{answer}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
