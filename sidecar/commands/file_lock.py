"""A lock that lives exactly as long as the process that took it: the system lets go of it, however the process ends."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


ATTEMPTS = 10
PAUSE_SECONDS = 0.03
"""Between attempts: somebody who only asks whether the lock is held has it for a moment."""


class FileLock:
    """One lock file; the file itself stays, since removing it would let two processes lock two files of one name."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """`descriptor` is the file where it is open and locked already."""
        self._path = path
        self._descriptor = descriptor

    @property
    def descriptor(self) -> int:
        assert self._descriptor is not None, "acquire it first"
        return self._descriptor

    def acquire(self, *, attempts: int = ATTEMPTS) -> bool:
        """False when another process holds it. Raises OSError where files cannot be locked."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        for attempt in range(attempts):
            try:
                _take(descriptor)
            except (BlockingIOError, PermissionError):
                if attempt + 1 < attempts:
                    time.sleep(PAUSE_SECONDS)
            else:
                self._descriptor = descriptor
                return True
        os.close(descriptor)
        return False

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at `path` right now."""
    if not path.exists():
        return False
    lock = FileLock(path)
    if not lock.acquire(attempts=1):
        return True
    lock.release()
    return False
