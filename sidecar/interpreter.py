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
COLLECTIONS: Final = (10_000, 20, 20)
"""Objects made until the collector looks at the new ones, and so on (Python's own: 700, 10, 10): a long request makes
thousands, and few of them in circles."""


MALLOPT: Final = {-3: 512 * 1024, -1: 2 * 1024 * 1024, -8: 2}
"""glibc's M_MMAP_THRESHOLD, M_TRIM_THRESHOLD (bytes) and M_ARENA_MAX. By itself it learns from the first large body to
keep all of that size, in each of many arenas: twelve conversations of 1 MB at once left 76 MB more. But what is given
back comes again page by page, 1 to 2 us each: a body of 200 KB is read, kept and sent on without."""


def tune() -> None:
    """Once all is imported: what is there now no collection looks through again. A line of the log names no thread, so
    none is looked for."""
    logging._srcfile = None  # noqa: SLF001  # nor for who called: logging's own advice
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTIONS)
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        _give_memory_back()


def _give_memory_back() -> None:
    """What large bodies took goes back to the system with them. Nothing where the C library is another one."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in MALLOPT.items():
            mallopt(option, value)
