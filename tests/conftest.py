"""What every test shares."""

import asyncio
import gc
import os
import sys
from types import SimpleNamespace

import uvicorn.server
from hypothesis import settings

pytest_plugins = ["tests.support.servers"]

# A user's Python keeps what it compiled. Without that every `cgw` that a test starts compiles all of its modules again,
# which is half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Property tests try the same examples on every machine, however slow it is.
settings.register_profile("cgw", deadline=None, derandomize=True)
settings.load_profile("cgw")

# uvicorn looks ten times a second whether it shall end, and then waits for another tenth; hundreds of servers end here.
uvicorn.server.asyncio = SimpleNamespace(
    **{**vars(asyncio), "sleep": lambda seconds: asyncio.sleep(min(seconds, 0.01))}
)


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are processors: tests wait for processes, sockets and threads."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors + (processors + 1) // 2


def pytest_collection_finish() -> None:
    """What thousands of collected tests are made of stays to the end: nobody need look through it again and again."""
    gc.collect()
    gc.freeze()
