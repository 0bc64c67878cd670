"""Writes beside the requests: `set` is an entry in a table, one thread does the rest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from sidecar.store.complaints import Complaints

if TYPE_CHECKING:
    from sidecar.store.store import Store, Write

log = logging.getLogger(__name__)

INTERVAL: Final = 0.25
"""Seconds a write waits: what is written again by then is written once."""
AT_ONCE: Final = 64
"""Writes in one transaction; who reads waits for no more."""
MOST_WAITING: Final = 1000
MOST_BYTES: Final = 64 * 1024 * 1024

Value = bytes | Callable[[], bytes]


class _Write(NamedTuple):
    value: Value | None
    """None for a deletion."""
    ttl_seconds: float
    size: int = 0


class StoreWriter:
    """Takes writes from any thread without blocking. Of one key only the newest is written.

    When more waits than `most_waiting` writes or `most_bytes` bytes, the oldest are dropped: what is kept here can be
    done without. The thread starts with the first write; the store stays the caller's to close.
    """

    def __init__(
        self,
        store: Store,
        *,
        interval: float = INTERVAL,
        most_waiting: int = MOST_WAITING,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`interval` in seconds."""
        self._store: Final = store
        self._interval = interval
        self._most_waiting: Final = most_waiting
        self._most_bytes: Final = most_bytes
        self._lock: Final = threading.Lock()
        self._waiting: dict[str, _Write] = {}
        self._bytes = 0
        self._flushes: list[Future[None]] = []
        self._wake: Final = threading.Event()
        """There is something to do."""
        self._hurry: Final = threading.Event()
        """It should not wait for company."""
        self._closing = False
        self._thread: threading.Thread | None = None
        self._complaints: Final = Complaints(log)

    def set(self, key: str, value: Value, ttl_seconds: float, *, size: int | None = None) -> None:
        """Never blocks, never raises. A function is called on the writer's thread, when its key's turn has come; `size`
        says how many bytes wait with it."""
        if size is None:
            size = len(value) if isinstance(value, bytes) else 0
        self._add(key, _Write(value, ttl_seconds, size))

    def delete(self, key: str) -> None:
        """As `set`."""
        self._add(key, _Write(None, 0))

    def hurry(self) -> None:
        """Let no write wait for company from now on."""
        self._interval = 0.0
        self._hurry.set()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until what was given so far is written; False when that took longer than `timeout` seconds."""
        return self._wait_for(self._next_flush(), timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Flush and stop; what comes later is dropped. As `flush`, False when writes are left."""
        last = self._next_flush()
        self._closing = True
        written = self._wait_for(last, timeout)
        if self._thread is not None:
            self._thread.join(timeout)
        return written

    def _next_flush(self) -> Future[None]:
        flush: Future[None] = Future()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                flush.set_result(None)
            else:
                self._flushes.append(flush)
        return flush

    def _wait_for(self, flush: Future[None], timeout: float) -> bool:
        self._wake.set()
        self._hurry.set()
        try:
            flush.result(timeout)
        except TimeoutError:
            return False
        return True

    def _add(self, key: str, write: _Write) -> None:
        with self._lock:
            if self._closing:
                return
            if (old := self._waiting.get(key)) is not None:
                self._bytes -= old.size
            self._waiting[key] = write  # in the old one's place: a key that is always written has its turn too
            self._bytes += write.size
            while len(self._waiting) > self._most_waiting or self._bytes > self._most_bytes:
                oldest = next(iter(self._waiting))
                self._bytes -= self._waiting.pop(oldest).size
                self._complaints.say("The store is slower than what is to be written: the oldest is left out.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
                self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    # From here on: the writer's own thread.

    def _run(self) -> None:
        while not self._closing or self._flushes:
            self._wake.wait()
            if not self._flushes:
                self._hurry.wait(self._interval)
            self._wake.clear()
            self._hurry.clear()
            with self._lock:
                flushes, self._flushes = self._flushes, []
                waiting = len(self._waiting)
            for start in range(0, waiting, AT_ONCE):
                self._write(self._take(min(AT_ONCE, waiting - start)))
            for flush in flushes:
                flush.set_result(None)
            if self._waiting:
                self._wake.set()

    def _take(self, most: int) -> list[tuple[str, _Write]]:
        with self._lock:
            taken = [(key, self._waiting.pop(key)) for key in [*islice(self._waiting, most)]]
            self._bytes -= sum(write.size for _, write in taken)
            return taken

    def _write(self, taken: list[tuple[str, _Write]]) -> None:
        entries: list[Write] = []
        for key, write in taken:
            try:
                if write.value is None:
                    self._store.delete(key)
                else:
                    value = write.value if isinstance(write.value, bytes) else write.value()
                    entries.append((key, value, write.ttl_seconds))
            except Exception as error:  # noqa: BLE001 -- whatever is wrong with one, the thread lives on for the others
                self._complain(key, error)
        try:
            if entries:
                self._store.set_many(entries)
        except Exception as error:  # noqa: BLE001 -- the same
            self._complain(entries[0][0], error)

    def _complain(self, key: str, error: Exception) -> None:
        self._complaints.say("%r cannot be kept: %s", key, str(error) or type(error).__name__)
