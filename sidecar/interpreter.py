"""What a process that answers requests asks of its interpreter."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
from contextlib import suppress
from typing import Final

SWITCH_SECONDS: Final = 0.0005
"""How long a thread that counts or writes may keep the event loop waiting (Python's own: 0.005)."""
COLLECTIONS: Final = (1_000, 10, 400)
"""Objects made until the collector looks at the new ones, how often until at the younger ones too, and at all (Python's
own: 700, 10, 10). It looks at some 4,000 in a millisecond, in which the event loop stands still."""


LARGE_BLOCK: Final = 512 * 1024
"""Bytes of memory in one piece that is asked of the system, and given back to it with what was in it."""
MALLOPT: Final = {-3: LARGE_BLOCK, -1: 2 * 1024 * 1024, -8: 2}
"""glibc's M_MMAP_THRESHOLD, M_TRIM_THRESHOLD (bytes) and M_ARENA_MAX. By itself it learns from the first large body to
keep all of that size, in each of many arenas: twelve conversations of 1 MB at once left 76 MB more. But what is given
back comes again page by page, 1 to 2 us each: a body of 200 KB is read, kept and sent on without."""


def begin() -> None:
    """Before the first thread: each would have an arena of its own for good. Nothing where the C library is another
    one."""
    with suppress(OSError, AttributeError):
        mallopt = _c_library().mallopt
        for option, value in MALLOPT.items():
            mallopt(option, value)


def tune() -> None:
    """Once all is imported: what is there now no collection looks through again. A line of the log names no thread, so
    none is looked for."""
    logging._srcfile = None  # noqa: SLF001  # nor for who called: logging's own advice
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTIONS)
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Whole pages that are free between what is in use go back to the system. Takes milliseconds, for a thread; nothing
    where the C library is another one."""
    with suppress(OSError, AttributeError):
        _c_library().malloc_trim(0)


def _c_library() -> ctypes.CDLL:
    """Raises OSError where there is none that is asked like this."""
    if sys.platform != "linux":
        raise OSError("its memory is not glibc's")
    return ctypes.CDLL(None)
