"""A store that cannot break a request: whatever is wrong with the disk or with Redis becomes a miss."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from sidecar.store.complaints import Complaints

if TYPE_CHECKING:
    from sidecar.store.store import Store, Write

log = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 0.5, 15.0
"""Seconds in which a store that failed is left alone, doubled each time: no request waits for one known to be lost."""


class FailOpen:
    """Opens the store when it is first asked, and again after a failed opening. A `Store` itself."""

    def __init__(
        self, open_it: Callable[[], Store], where: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`where` is for the log. `clock` gives seconds."""
        self._open_it: Final = open_it
        self._where: Final = where
        self._clock: Final = clock
        self._lock: Final = threading.Lock()
        self._store: Store | None = None
        self._closed = False
        self._lost = False
        self._retry_at = float("-inf")
        self._retry_after = FIRST_RETRY
        self._complaints: Final = Complaints(log)

    @property
    def ok(self) -> bool:
        """Whether the store answered when it was last asked."""
        return not self._lost

    def get(self, key: str) -> bytes | None:
        return self._try(lambda store: store.get(key), None)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        return self._try(lambda store: store.get_many(keys), {})

    def set(self, key: str, value: bytes, ttl_seconds: float) -> None:
        """Raises TypeError for a value that is not bytes: a fault of ours, and no store's."""
        self.set_many([(key, value, ttl_seconds)])

    def set_many(self, entries: Sequence[Write]) -> None:
        """As `set`."""
        for _, value, _ in entries:
            if not isinstance(value, bytes):
                raise TypeError(f"a store keeps bytes, not {type(value).__name__}")
        self._try(lambda store: store.set_many(entries), None)

    def lacks(self, key: str) -> bool:
        store = self._store
        return store is not None and store.lacks(key)

    def delete(self, key: str) -> None:
        self._try(lambda store: store.delete(key), None)

    def keys(self) -> Collection[str]:
        return self._try(lambda store: store.keys(), ())

    def close(self) -> None:
        """From here on every answer is a miss."""
        with self._lock:
            self._closed = True
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def _try[Answer](self, action: Callable[[Store], Answer], otherwise: Answer) -> Answer:
        if self._clock() < self._retry_at:
            return otherwise
        try:
            if (store := self._opened()) is None:
                return otherwise
            answer = action(store)
        except Exception as error:  # noqa: BLE001 -- a store is a convenience: no fault of its driver may end a request
            self._note_loss(error)
            return otherwise
        if self._lost:
            self._lost = False
            self._retry_after = FIRST_RETRY
            log.warning("%s answers again.", self._where)
        return answer

    def _opened(self) -> Store | None:
        with self._lock:
            if self._store is None and not self._closed:
                self._store = self._open_it()
            return self._store

    def _note_loss(self, error: Exception) -> None:
        with self._lock:
            if not self._lost:
                self._retry_after = FIRST_RETRY
            self._lost = True
            self._retry_at = self._clock() + self._retry_after
            self._retry_after = min(2 * self._retry_after, LAST_RETRY)
        self._complaints.say(
            "%s cannot be used (%s): requests go on without what it keeps.",
            self._where,
            str(error) or type(error).__name__,
        )
