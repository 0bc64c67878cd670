"""What a process that answers requests asks of its interpreter."""

from __future__ import annotations

import gc
import logging
import sys
from typing import Final

SWITCH_SECONDS: Final = 0.0005
"""How long a thread that counts or writes may keep the event loop waiting (Python's own: 0.005)."""
COLLECTIONS: Final = (10_000, 20, 20)
"""Objects made until the collector looks at the new ones, and so on (Python's own: 700, 10, 10): a long request makes
thousands, and few of them in circles."""


def tune() -> None:
    """Once all is imported: what is there now no collection looks through again. A line of the log names no thread, so
    none is looked for."""
    logging._srcfile = None  # noqa: SLF001  # nor for who called: logging's own advice
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTIONS)
    gc.collect()
    gc.freeze()
