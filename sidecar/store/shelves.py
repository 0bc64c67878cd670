"""The stores of one running sidecar, each with a writer beside it, and whole entries in them or none."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Final

from sidecar.store.complaints import Complaints
from sidecar.store.entry import CorruptEntryError, Entry
from sidecar.store.store import Store, open_store
from sidecar.store.writer import StoreWriter, Value

if TYPE_CHECKING:
    from sidecar.home import Home

log = logging.getLogger(__name__)

READ_AT_ONCE: Final = 16
"""Entries, where all are looked through."""


class Shelf:
    """One namespace: reads block (for a thread), `put` and `delete` never do.

    What is kept has an age and an owner. What comes back damaged is dropped, counted and never served.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.name: Final = name
        self.corrupt = 0
        """Entries that were found damaged, since the start."""
        self.is_shared = False
        """Whether somebody else reads what is put here while it is being put."""
        self._store: Final = store
        self._writer: Final = StoreWriter(store)
        self._complaints: Final = Complaints(log)

    def get(self, key: str) -> bytes | None:
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those that are there."""
        return {key: entry.value for key, entry in self._entries(keys)}

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All that there are, in no order."""
        for keys in batched(self._store.keys(), READ_AT_ONCE):
            yield from self._entries(keys)

    def lacks(self, key: str) -> bool:
        """Whether a read would surely find nothing; does not block."""
        return self._store.lacks(key)

    def put(self, key: str, value: Value, ttl_seconds: float, *, project: str = "") -> None:
        """A function is called once its turn has come, on another thread."""
        size = len(value) if isinstance(value, bytes) else 0
        self._writer.set(key, partial(_sealed, key, value, project, time.time()), ttl_seconds, size=size)

    def delete(self, key: str) -> None:
        self._writer.delete(key)

    def forget(self, keys: Iterable[str]) -> None:
        """As `delete`, but they are gone when it returns; blocks."""
        self.flush()
        for key in keys:
            self._store.delete(key)

    def drop(self, key: str, why: object) -> None:
        """It is damaged, which only its reader could tell."""
        self.corrupt += 1
        self._complaints.say("What %s kept under %s is thrown away: %s.", self.name, key, why)
        self.delete(key)

    def share(self) -> None:
        """Let nothing wait that is put from now on."""
        self.is_shared = True
        self._writer.hurry()

    def flush(self) -> bool:
        """Blocks until what was put is written; False when that takes too long."""
        return self._writer.flush()

    def close(self) -> bool:
        """As `flush`; what is put afterwards is lost."""
        written = self._writer.close()
        self._store.close()
        return written

    def _entries(self, keys: Sequence[str]) -> Iterator[tuple[str, Entry]]:
        for key, kept in self._store.get_many(keys).items():
            try:
                yield key, Entry.from_bytes(key, kept)
            except CorruptEntryError as error:
                self.drop(key, error)


class Shelves:
    """Opened when first asked for, closed together."""

    def __init__(self, home: Home, redis_url: str | None) -> None:
        self._home = home
        self._redis_url = redis_url
        self._shelves: dict[str, Shelf] = {}
        self._limits: dict[str, int] = {}
        self._shared = False

    def __call__(self, namespace: str, size_limit_bytes: int, *, shared: bool = True) -> Shelf:
        """`shared` ones are Redis' where there is one; the others stay on this machine. Raises ValueError where two
        parts of the house, with bounds of their own, would share one namespace."""
        if self._limits.setdefault(namespace, size_limit_bytes) != size_limit_bytes:
            raise ValueError(f"two things would be kept under the name {namespace!r}")
        if (shelf := self._shelves.get(namespace)) is None:
            url = self._redis_url if shared else None
            store = open_store(self._home, url, namespace, size_limit_bytes)
            shelf = self._shelves[namespace] = Shelf(store, namespace)
            if self._shared:
                shelf.share()
        return shelf

    def corrupt(self) -> dict[str, int]:
        """How many entries of each were found damaged since the start."""
        return {name: shelf.corrupt for name, shelf in self._shelves.items()}

    def share(self) -> None:
        """Another process, or other settings, take what comes next, while answers go on here: what these leave behind
        must be there at once."""
        self._shared = True
        for shelf in list(self._shelves.values()):
            shelf.share()

    def flush(self) -> None:
        """Blocks until what was put so far is written."""
        for shelf in list(self._shelves.values()):
            shelf.flush()

    def close(self) -> None:
        """Blocks until what was put is written."""
        for shelf in self._shelves.values():
            shelf.close()


def _sealed(key: str, value: Value, project: str, now: float) -> bytes:
    return Entry(value if isinstance(value, bytes) else value(), project, now).to_bytes(key)
