"""What every test shares."""

import gc
import os
import sys

from hypothesis import settings

from tests.support import thorough
from tests.support.patience import be_patient
from tests.support.quick_libraries import hurry

pytest_plugins = ["tests.support.servers", "tests.support.gates", "tests.support.breakers_clock"]

# A user's Python keeps what it compiled. Without that every `cgw` that a test starts compiles all of its modules again,
# which is half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Property tests try the same examples on every machine, however slow it is, and however long it stands still.
UNHURRIED = {"deadline": None, "suppress_health_check": thorough.UNHURRIED}
settings.register_profile("cgw", derandomize=True, max_examples=thorough.USUAL, **UNHURRIED)
settings.register_profile("thorough", max_examples=thorough.examples(thorough.USUAL), **UNHURRIED)
settings.load_profile(thorough.PROFILE)

hurry()
be_patient()


def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor: tests wait for processes, sockets and threads half of their time."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * processors


def pytest_collection_finish() -> None:
    """What thousands of collected tests are made of stays to the end: nobody need look through it again and again."""
    gc.collect()
    gc.freeze()
