"""A file that appears whole or not at all, for output that takes a while."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
