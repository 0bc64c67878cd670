"""Keeps which model each conversation has: in memory, bounded, and written behind, so that it outlives the process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sidecar.routing.standing import Standing, decode, encode, find, with_branch
from sidecar.store.shelves import Shelf

NAMESPACE: Final = "routes"
SIZE_LIMIT_BYTES: Final = 64 * 1024 * 1024
KEPT_SECONDS: Final = 14 * 86_400.0
"""As long as the conversations themselves are."""
MOST_CONVERSATIONS: Final = 4_000


class RouteMemory:
    """Belongs to the event loop."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._known: OrderedDict[str, list[Standing]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    async def find(self, key: str, chain: Sequence[bytes], *, first: bool) -> Standing | None:
        """What holds for a request of this conversation whose blocks have these hashes."""
        if key not in self._known:
            kept = None if self._shelf.lacks(key) else await asyncio.to_thread(self._shelf.get, key)
            if key not in self._known:  # learned while we looked
                self._remember(key, decode(kept))
        self._known.move_to_end(key)
        return find(self._known[key], chain, first=first)

    def keep(self, project: str, key: str, standing: Standing) -> None:
        """Without blocking."""
        branches = with_branch(self._known.get(key, ()), standing)
        self._remember(key, branches)
        self._shelf.put(key, encode(branches), KEPT_SECONDS, project=project)

    def thought(self, project: str, key: str, standing: Standing) -> None:
        """Claude thought before it answered that request."""
        if any((one.until, one.link) == (standing.until, standing.link) for one in self._known.get(key, ())):
            self.keep(project, key, replace(standing, thought=True))

    def _remember(self, key: str, branches: list[Standing]) -> None:
        self._known[key] = branches
        self._known.move_to_end(key)
        while len(self._known) > MOST_CONVERSATIONS:
            self._known.popitem(last=False)
