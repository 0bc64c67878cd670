"""diskcache without pickle: bytes go in, the same bytes come out, and everything else is refused.

Whoever can write to a folder of diskcache's can have code run by its reader, as it unpickles what it finds there
(CVE-2025-69872; version 5.6.3 is the last, and its JSONDisk keeps the path open). Here no row is unpickled, no file
beside the database is read, written or removed, and so no path from a row is followed. Imported only by `disk`.
"""

from __future__ import annotations

import sqlite3
from typing import Final, Literal, Never

from diskcache import UNKNOWN, Disk

MODE_RAW: Final = 1
"""diskcache's word for a value that stands in its row as it is."""


class ForeignValueError(Exception):
    """A row that this class did not write."""


class RawDisk(Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys are bytes, text or whole numbers; values are bytes and stand in the database itself."""

    def put(self, key: object) -> tuple[memoryview | str | int, Literal[True]]:
        """Raises TypeError."""
        if type(key) is bytes:
            return sqlite3.Binary(key), True
        if type(key) is str or (type(key) is int and -(2**63) <= key < 2**63):
            return key, True
        raise TypeError(f"a key of {type(key).__name__} cannot be stored raw")

    def get(self, key: object, raw: object) -> bytes | str | int:
        """Raises ForeignValueError."""
        if raw and isinstance(key, bytes | str | int):
            return key
        raise ForeignValueError("a key that was not stored raw")

    def store(self, value: object, read: bool, key: object = UNKNOWN) -> tuple[Literal[0], int, None, memoryview]:
        """Raises TypeError."""
        if read or type(value) is not bytes:
            raise TypeError(f"a value of {type(value).__name__} cannot be stored raw")
        return 0, MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: object, filename: object, value: object, read: bool) -> bytes:
        """Raises ForeignValueError."""
        if mode == MODE_RAW and filename is None and type(value) is bytes and not read:
            return value
        raise ForeignValueError("a value that was not stored raw")

    def filename(self, key: object = UNKNOWN, value: object = UNKNOWN) -> Never:
        raise TypeError("no value has a file of its own")

    def remove(self, file_path: object) -> None:
        """There is nothing to remove, whatever a row says."""
