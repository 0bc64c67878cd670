"""This machine's store: one SQLite file in a folder of its own, through diskcache.

Several sidecars may use one folder. All access is on one thread: diskcache keeps a connection for each thread that ever
asked and closes only its own, and a disk that hangs can so be given up. Imported only when a store is opened.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import lru_cache
from itertools import batched, chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from diskcache import Cache

from sidecar.store.complaints import Complaints
from sidecar.store.known_keys import KnownKeys
from sidecar.store.raw_disk import ForeignValueError, RawDisk

if TYPE_CHECKING:
    from sidecar.store.store import Write

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 5.0
"""The most that anybody waits for the disk."""
LOCKED_SECONDS: Final = 2.0
"""The most that this sidecar waits for another one's transaction."""
LARGEST_SHARE: Final = 4
"""A value of more than one fourth of the bound is not kept: it would drive out all others."""
DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

CLEARED_SECONDS: Final = 1.0
CLEARED_SHARE: Final = 32
"""When what is too much or too old is looked for again: so long after the last time, or once a thirty-second of the
bound has been written since. It is a transaction of its own."""

WATCHED_SECONDS: Final = 1.0
"""For how long it is believed that no other sidecar has written."""

LIST: Final = "SELECT key FROM Cache WHERE raw = 1 AND typeof(key) = 'text' AND coalesce(expire_time > ?, 1)"

ROW: Final = "(?, 1, ?, ?, ?, 0, NULL, 0, 1, NULL, ?)"
WRITE: Final = """
    INSERT INTO Cache (key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)
    VALUES {}
    ON CONFLICT (key, raw) DO UPDATE SET
        (store_time, expire_time, access_time, access_count, size, mode, filename, value)
        = (excluded.store_time, excluded.expire_time, excluded.access_time, 0, 0, 1, NULL, excluded.value)
"""
"""What diskcache's own `set` does in three statements, for each value apart; a value never has a file of its own (see
`RawDisk`), so there is none to remove. Many rows are one statement: for each of them SQLite would give the interpreter
away and take it back, and the event loop with it."""
ROWS: Final = 64
"""In one statement at most."""

SETTINGS: Final = {
    "eviction_policy": "least-recently-used",
    "statistics": 0,
    "cull_limit": 0,  # once for all that is written together, and not for each of it
    "sqlite_cache_size": 128,  # pages, 512 KB: there are several stores, the system keeps their files anyway, and with
    # four times as many a write takes no less
    "sqlite_mmap_size": 0,  # a mapped file that another process cuts ends this one by a signal
}


class DiskStore:
    """A `Store`. Its methods raise whatever SQLite, diskcache or the system does, and TimeoutError."""

    def __init__(self, folder: Path, size_limit_bytes: int) -> None:
        self._folder: Final = folder
        self._size_limit: Final = size_limit_bytes
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix=f"store {folder.name}")
        self._cache: Any = None
        self._complaints: Final = Complaints(log)
        self._known: KnownKeys | None = None
        self._version = 0
        """Changes when somebody else has written."""
        self._watched = float("-inf")
        """When that was last looked for."""
        self._cleared = float("-inf")
        """When what is too much or too old was."""
        self._written = 0
        """Bytes since then."""

    def get(self, key: str) -> bytes | None:
        return self._run(lambda cache: self._fetch(cache, key))

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        def fetch(cache: Any) -> dict[str, bytes]:
            found = ((key, self._fetch(cache, key)) for key in keys)
            return {key: value for key, value in found if value is not None}

        return self._run(fetch)

    def set(self, key: str, value: bytes, ttl_seconds: float) -> None:
        self.set_many([(key, value, ttl_seconds)])

    def set_many(self, entries: Sequence[Write]) -> None:
        fitting = [entry for entry in entries if self._fits(entry)]

        def write(cache: Any) -> None:
            if self._known is not None:
                self._known.add(key for key, _, _ in fitting)
            now = time.time()
            with cache.transact():
                for some in batched(fitting, ROWS):
                    rows = [(key, now, now + seconds, now, sqlite3.Binary(value)) for key, value, seconds in some]
                    cache._con.execute(_writing(len(rows)), [*chain.from_iterable(rows)])  # noqa: SLF001
            self._clear(cache, sum(len(value) for _, value, _ in fitting))

        if fitting:
            self._run(write)

    def lacks(self, key: str) -> bool:
        known = self._known
        return known is not None and time.monotonic() - self._watched < WATCHED_SECONDS and key not in known

    def delete(self, key: str) -> None:
        self._run(lambda cache: cache.delete(key))

    def keys(self) -> Collection[str]:
        return self._run(lambda _: self._listed())

    def close(self) -> None:
        with suppress(TimeoutError):
            self._thread.submit(self._close).result(ANSWER_SECONDS)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _fits(self, entry: Write) -> bool:
        size = len(entry[1])
        if size > self._size_limit // LARGEST_SHARE:
            self._complaints.say("%s does not take a value of %d bytes.", self._folder, size)
            return False
        return True

    def _run[Answer](self, action: Callable[[Any], Answer]) -> Answer:
        future = self._thread.submit(self._perform, action)
        try:
            return future.result(ANSWER_SECONDS)
        except TimeoutError:
            if not future.cancel() and future.done():
                raise
            raise TimeoutError(f"no answer within {ANSWER_SECONDS:g} s") from None

    # From here on: the store's own thread.

    def _perform[Answer](self, action: Callable[[Any], Answer]) -> Answer:
        try:
            if self._cache is None:
                self._cache = self._open()
            if time.monotonic() - self._watched >= WATCHED_SECONDS:
                self._watch(self._cache)
            return action(self._cache)
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                self._begin_anew(error)
                return action(self._cache)
            raise

    def _clear(self, cache: Any, written: int) -> None:
        self._written += written
        now = time.monotonic()
        if now - self._cleared >= CLEARED_SECONDS or self._written >= self._size_limit // CLEARED_SHARE:
            cache.cull()
            self._cleared, self._written = now, 0

    def _fetch(self, cache: Any, key: str) -> bytes | None:
        try:
            value: bytes | None = cache.get(key)
        except ForeignValueError as error:
            self._complaints.say("%s holds %s; it is removed unread.", self._folder, error)
            cache.delete(key)
            return None
        return value

    def _listed(self) -> list[str]:
        # Past diskcache, whose listing would end at the first row that somebody else put there.
        with closing(sqlite3.connect(self._folder / "cache.db", timeout=LOCKED_SECONDS)) as connection:
            return [key for (key,) in connection.execute(LIST, (time.time(),))]

    def _watch(self, cache: Any) -> None:
        """Know what is there, as long as nobody else writes."""
        ((version,),) = cache._sql("PRAGMA data_version").fetchall()  # noqa: SLF001  # of this connection, no other's
        if self._known is None or version != self._version:
            self._known = None
            self._version = version
            self._thread.submit(self._get_to_know)
        self._watched = time.monotonic()

    def _get_to_know(self) -> None:
        with suppress(sqlite3.Error):  # whatever is wrong, the next one who asks is told
            self._known = KnownKeys(self._listed())

    def _open(self) -> Any:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        file = self._folder / "cache.db"
        file.touch(mode=0o600)  # SQLite gives its side files the mode of the file itself
        with closing(sqlite3.connect(file, timeout=LOCKED_SECONDS)) as connection:
            connection.execute("PRAGMA schema_version")  # diskcache leaves a connection open where it finds no database
        cache = Cache(str(self._folder), timeout=LOCKED_SECONDS, disk=RawDisk, size_limit=self._size_limit, **SETTINGS)
        cache.cull()  # what expired in the meantime, and what a lower bound has no room for
        return cache

    def _begin_anew(self, damage: sqlite3.DatabaseError) -> None:
        log.warning("%s is damaged (%s): it begins anew, empty.", self._folder, damage)
        self._known = None
        self._close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            (self._folder / f"cache.db{suffix}").unlink(missing_ok=True)
        self._cache = self._open()

    def _close(self) -> None:
        cache, self._cache = self._cache, None
        if cache is not None:
            cache.close()


@lru_cache(ROWS)
def _writing(rows: int) -> str:
    return WRITE.format(", ".join([ROW] * rows))


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Not a lock, a full disk or a file of somebody else's: those may pass."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED
