"""The stores of one running sidecar, each with a writer beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.store.store import Store, open_store
from sidecar.store.writer import StoreWriter, Value

if TYPE_CHECKING:
    from sidecar.home import Home


class Shelf:
    """One namespace: reads block (for a thread), writes never do."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.writer = StoreWriter(store)

    def get(self, key: str) -> bytes | None:
        return self.store.get(key)

    def put(self, key: str, value: Value, ttl_seconds: float) -> None:
        self.writer.set(key, value, ttl_seconds)

    def close(self) -> None:
        self.writer.close()
        self.store.close()


class Shelves:
    """Opened when first asked for, closed together."""

    def __init__(self, home: Home, redis_url: str | None) -> None:
        self._home = home
        self._redis_url = redis_url
        self._shelves: dict[str, Shelf] = {}

    def __call__(self, namespace: str, size_limit_bytes: int, *, shared: bool = True) -> Shelf:
        """`shared` ones are Redis' where there is one; the others stay on this machine."""
        if (shelf := self._shelves.get(namespace)) is None:
            url = self._redis_url if shared else None
            shelf = self._shelves[namespace] = Shelf(open_store(self._home, url, namespace, size_limit_bytes))
        return shelf

    def close(self) -> None:
        """Blocks until what was put is written."""
        for shelf in self._shelves.values():
            shelf.close()
