"""Rows into the database, beside the requests: `add` is an append, one thread does the rest.

Where a row is, and what may happen to it there:

    memory    `INTERVAL` seconds and as long as one commit takes; lost if the process is killed. (A commit takes
              milliseconds; a locked SQLite is given up after 0.25 s, a PostgreSQL whose machine vanished after 3 s.)
    database  committed; done
    journal   a file in the home folder, where rows go at once when the database refuses them: locked, full, or away.
              It survives the process. Emptied into the database as soon as that takes rows again, each row exactly once
              (ids decide)

When the journal refuses too (a full disk), rows stay in memory up to `MOST_IN_MEMORY`; what comes after that is dropped
and counted. Nothing here ever raises towards a request; `health` tells.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.ledger.journal import Journal
from sidecar.ledger.rows import LedgerRow

if TYPE_CHECKING:
    from sidecar.ledger.database import Database

log = logging.getLogger(__name__)

INTERVAL = 0.5
"""Seconds a row waits for company."""
BATCH = 1000
"""Rows in one transaction; as many waiting rows are written at once."""
MOST_IN_MEMORY = 20_000
"""Rows, of about a kilobyte each."""
FIRST_RETRY, LAST_RETRY = 0.5, 15.0
"""Seconds until a database that refused is asked again: doubled each time."""


@dataclass(frozen=True, slots=True)
class WriterHealth:
    """How the ledger is doing, for the dashboard and `/health`."""

    ok: bool
    """The database took the last rows it was given, and none was ever dropped."""
    where: str
    in_memory: int
    in_journal: int
    written: int
    """New rows in the database since the start."""
    dropped: int
    """Rows lost since the start: no database, no disk, and memory full; or unreadable in the journal."""
    last_error: str
    """One sentence; empty while the database takes rows."""

    @property
    def pending(self) -> int:
        return self.in_memory + self.in_journal


class LedgerWriter:
    """Takes rows from any thread and stores them. Start it once, close it at the end."""

    def __init__(
        self, database: Database, home: Path, *, interval: float = INTERVAL, last_retry: float = LAST_RETRY
    ) -> None:
        """`interval` and `last_retry` in seconds. The database stays the caller's to close."""
        self._database: Final = database
        self._home: Final = home
        self._interval: Final = interval
        self._last_retry: Final = last_retry
        self._memory: Final[deque[LedgerRow]] = deque()
        self._in_hand = 0
        self._journal: Journal | None = None
        self._written = 0
        self._dropped = 0
        self._drop_lock: Final = threading.Lock()
        self._database_error = ""
        self._journal_error = ""
        self._retry_after = FIRST_RETRY
        self._retry_at = 0.0
        self._wake: Final = threading.Event()
        """There is something to do."""
        self._hurry: Final = threading.Event()
        """It should not wait for company."""
        self._flushes: Final[deque[Future[bool]]] = deque()
        self._closing = False
        self._thread: Final = threading.Thread(target=self._run, name="ledger-writer", daemon=True)

    def start(self) -> None:
        """Begin to write; what a former process left in the journal comes first."""
        self._thread.start()

    def add(self, row: LedgerRow) -> None:
        """Account for one request. Never blocks, never raises."""
        waiting = len(self._memory)
        if waiting >= MOST_IN_MEMORY:
            self._drop(1)
            return
        self._memory.append(row)
        if not self._wake.is_set():
            self._wake.set()
        if waiting >= BATCH and not self._hurry.is_set():
            self._hurry.set()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until the rows added so far are in the database, asking it again even if it refused a moment ago.

        False when some still wait in the journal or in memory, or when it took longer than `timeout` seconds.
        """
        return self._wait_for(Future(), timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Flush and stop; as `flush`, False when rows are left. Those in the journal are written at the next start."""
        last: Future[bool] = Future()
        self._flushes.append(last)
        self._closing = True
        stored = self._wait_for(last, timeout)
        if self._thread.is_alive():
            self._thread.join(timeout)
        return stored

    def health(self) -> WriterHealth:
        journal = self._journal
        return WriterHealth(
            ok=not self._database_error and not self._dropped,
            where=self._database.where,
            in_memory=len(self._memory) + self._in_hand,
            in_journal=journal.rows if journal else 0,
            written=self._written,
            dropped=self._dropped,
            last_error="; ".join(filter(None, (self._database_error, self._journal_error))),
        )

    def _wait_for(self, flush: Future[bool], timeout: float) -> bool:
        if flush not in self._flushes:
            self._flushes.append(flush)
        self._wake.set()
        self._hurry.set()
        if not self._thread.is_alive():
            return not self.health().pending
        try:
            return flush.result(timeout)
        except TimeoutError:
            return False

    def _drop(self, rows: int) -> None:
        with self._drop_lock:
            self._dropped += rows

    # From here on: the writer's own thread.

    def _run(self) -> None:
        with suppress(OSError):  # asked again, and reported, when it is needed
            self._open_journal()
        self._settle(force=True)
        while not self._closing or self._flushes:
            self._wake.wait(self._seconds_to_retry())
            if not self._flushes:
                self._hurry.wait(self._interval)
            self._wake.clear()
            self._hurry.clear()
            flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
            self._settle(force=bool(flushes))
            for flush in flushes:
                flush.set_result(not self._database_error)
        if self._journal is not None:
            self._journal.close()

    def _seconds_to_retry(self) -> float | None:
        return max(0.0, self._retry_at - time.monotonic()) if self._database_error else None

    def _settle(self, *, force: bool) -> None:
        """Put every waiting row where it is safe: the database or, while that refuses, the journal."""
        if self._database_error:
            self._spill()  # before asking, which may take its time
        ask = force or not self._database_error or time.monotonic() >= self._retry_at
        while ask and (self._memory or (self._journal and self._journal.rows)):
            ask = self._store()
        if self._database_error:
            self._spill()

    def _store(self) -> bool:
        """One transaction: a batch from memory and as many from the journal."""
        batch = self._take()
        journal = self._journal
        try:
            old = journal.oldest(BATCH) if journal and journal.rows else None
            self._written += self._database.write([*old.rows, *batch] if old else batch)
            if journal and old:
                journal.forget(old)
                self._drop(old.lines - len(old.rows))
        except Exception as error:  # noqa: BLE001 -- whatever a driver throws, rows are kept and the thread lives on
            self._give_back(batch)
            self._refused(error)
            return False
        self._in_hand = 0
        self._accepted()
        return True

    def _spill(self) -> None:
        while self._memory:
            batch = self._take()
            try:
                self._open_journal().append(batch)
            except OSError as error:
                self._give_back(batch)
                self._journal_error = f"nor does the journal in {self._home} take rows: {error.strerror or error}"
                return
            self._in_hand = 0
            self._journal_error = ""

    def _take(self) -> Sequence[LedgerRow]:
        self._in_hand = min(BATCH, len(self._memory))
        return [self._memory.popleft() for _ in range(self._in_hand)]

    def _give_back(self, batch: Sequence[LedgerRow]) -> None:
        self._memory.extendleft(reversed(batch))
        self._in_hand = 0

    def _open_journal(self) -> Journal:
        if self._journal is None:
            self._journal = Journal.open(self._home)
        return self._journal

    def _refused(self, error: Exception) -> None:
        if not self._database_error:
            self._retry_after = FIRST_RETRY
            log.warning("%s. Requests go on; their rows wait in %s", error, self._home)
        self._database_error = str(error) or type(error).__name__
        self._retry_at = time.monotonic() + self._retry_after
        self._retry_after = min(2 * self._retry_after, self._last_retry)

    def _accepted(self) -> None:
        if self._database_error:
            log.warning("the ledger in %s takes rows again", self._database.where)
        self._database_error = self._journal_error = ""
