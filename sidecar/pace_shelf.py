"""Keeps what is known of clients' pace over restarts, on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from sidecar.pace import Pace

KEY: Final = "pace"
KEPT_SECONDS: Final = 180 * 86_400.0
NAMESPACE: Final = "pace"
SIZE_LIMIT_BYTES: Final = 4 * 1024 * 1024


class Shelf(Protocol):
    def get(self, key: str) -> bytes | None:
        """Blocks."""

    def put(self, key: str, value: bytes | Callable[[], bytes], ttl_seconds: float) -> None:
        """Does not. A function is called once its turn has come, on another thread."""


class PaceShelf:
    """`known` is None until it has been read."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._waits = False
        """Whether it is to be written already."""
        self.known: Pace | None = None

    async def read(self) -> None:
        """Once; later it is known better here."""
        kept = await asyncio.to_thread(self._shelf.get, KEY)
        if self.known is None:
            self.known = Pace.from_bytes(kept)

    def further(self, client: str, number: int) -> int:
        """How many requests are expected after the `number`th of a conversation; by the prior alone until it has been
        read."""
        return (self.known or Pace()).of(client).further(number)

    def save(self) -> None:
        """Soon, with all that is learned by then."""
        if self.known is not None and not self._waits:
            self._waits = True
            self._shelf.put(KEY, self._written, KEPT_SECONDS)

    def _written(self) -> bytes:
        self._waits = False  # first: what is learned from now on may come too late for this time
        return (self.known or Pace()).to_bytes()
