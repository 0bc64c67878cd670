"""What every test shares."""

import os
import sys

from hypothesis import settings

pytest_plugins = ["tests.support.servers"]

# A user's Python keeps what it compiled. Without that every `cgw` that a test starts compiles all of its modules again,
# which is half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Property tests try the same examples on every machine, however slow it is.
settings.register_profile("cgw", deadline=None, derandomize=True)
settings.load_profile("cgw")
