"""A file that appears whole or not at all, for output that takes a while."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@contextmanager
def written_whole(path: Path | None) -> Iterator[BinaryIO]:
    """A file to write `path` with. It is put in its place when the block ends well; when it is left in any other way
    (Ctrl-C too), nothing remains and what was there before is untouched.

    None is the standard output, and what is no regular file (a pipe, `/dev/null`) is written as it is: neither can be
    replaced. Raises OSError.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = path.resolve()
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    unfinished = target.parent / f".{target.name}-{secrets.token_hex(8)}"
    try:  # begun before the file is there: Ctrl-C comes at any moment
        with os.fdopen(os.open(unfinished, NEW_FILE, 0o600), "wb") as file:
            yield file
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
