"""Rows that wait for their database, in a file: one JSON object a line, appended, and emptied once they are stored.

A journal belongs to one process at a time (a lock on the open file says so), therefore a second gateway on the same
home gets a file of its own, and whoever starts next takes over what a dead one left. What is appended survives the
death of the process; a line cut short by it is cut off.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from sidecar.ledger.rows import LedgerRow

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FILE_NAME: Final = "ledger-journal-{number}.jsonl"
MOST_FILES: Final = 64

_FIELDS: Final = frozenset(field.name for field in fields(LedgerRow) if field.init)


class Portion(NamedTuple):
    """A part of a journal. There are fewer rows than lines where a damaged disk left lines that are no rows."""

    rows: list[LedgerRow]
    lines: int
    size: int
    """Bytes."""


class Journal:
    """The rows of one process that are not in the database yet."""

    def __init__(self, path: Path) -> None:
        """Raises BlockingIOError when another process owns the file, OSError when it cannot be opened."""
        self.path: Final = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file: Final = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            _lock(self._file)
            self._end, self.rows = self._measure()
            os.ftruncate(self._file, self._end)
        except BaseException:
            os.close(self._file)
            raise
        self._start = 0

    @classmethod
    def open(cls, home: Path) -> Journal:
        """The first journal of `home` that is free, with what dead processes left in the others. Raises OSError."""
        own: Journal | None = None
        for number in range(1, MOST_FILES + 1):
            path = home / FILE_NAME.format(number=number)
            if own is not None and not path.exists():
                continue
            try:
                journal = cls(path)
            except BlockingIOError:
                continue
            if own is None:
                own = journal
            else:
                with suppress(OSError):  # a full disk: the rows stay where they are until the next start
                    own.take_over(journal)
        if own is None:
            raise OSError(f"{MOST_FILES} gateways use {home} already")
        return own

    def append(self, rows: Iterable[LedgerRow]) -> None:
        """All of the rows or, when the disk refuses (OSError), none of them."""
        lines = [_line(row) for row in rows]
        self._write(b"".join(lines))
        self.rows += len(lines)

    def oldest(self, count: int) -> Portion:
        """The oldest `count` lines, or what there is."""
        lines = list(islice(self._lines(), count))
        rows = [row for row in map(_row, lines) if row is not None]
        return Portion(rows, lines=len(lines), size=sum(map(len, lines)))

    def forget(self, portion: Portion) -> None:
        """What `oldest` gave is stored. The file is emptied with its last line: until then a crash repeats some,
        harmlessly.
        """
        self._start += portion.size
        self.rows -= portion.lines
        if self._start >= self._end:
            os.ftruncate(self._file, 0)
            self._start = self._end = 0

    def take_over(self, other: Journal) -> None:
        """Move what `other` holds to the end of this one, and close it."""
        try:
            self._write(b"".join(other._lines()))
            self.rows += other.rows
            os.ftruncate(other._file, 0)
        finally:
            other.close()

    def close(self) -> None:
        os.close(self._file)

    def _write(self, content: bytes) -> None:
        os.lseek(self._file, self._end, os.SEEK_SET)
        try:
            written = 0
            while written < len(content):
                written += os.write(self._file, content[written:])
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += len(content)

    def _lines(self) -> Iterator[bytes]:
        """Whole lines, newline included, from the oldest that is not forgotten."""
        with open(self._file, "rb", closefd=False) as file:
            file.seek(self._start)
            yield from (line for line in file if line.endswith(b"\n"))

    def _measure(self) -> tuple[int, int]:
        """Where the last whole line ends, and how many there are."""
        self._start = self._end = 0
        sizes = [len(line) for line in self._lines()]
        return sum(sizes), len(sizes)


def _line(row: LedgerRow) -> bytes:
    return orjson.dumps({name: getattr(row, name) for name in _FIELDS}) + b"\n"


def _row(line: bytes) -> LedgerRow | None:
    """None for a line that is not a row (a damaged disk). Fields of another version of cgw are left out."""
    try:
        known = {name: value for name, value in orjson.loads(line).items() if name in _FIELDS}
        known["time"] = datetime.fromisoformat(known["time"])
        return LedgerRow(**known)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
        return None


def _lock(file: int) -> None:
    if sys.platform == "win32":
        try:
            os.lseek(file, 0x7FFF_0000, os.SEEK_SET)  # beyond any content: a lock on Windows also bars reading
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(str(error)) from error
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
