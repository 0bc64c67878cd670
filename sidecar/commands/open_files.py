"""How many files and sockets this process may have open. Some systems give 256 to begin with: fewer than the requests
that it may answer at one time, each with a socket on either side.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Final

ENOUGH: Final = 4096


def allow_enough_files() -> None:
    """Raises what is allowed, as far as the system lets us; never lowers it."""
    if sys.platform == "win32":  # knows no such limit
        return
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if most == resource.RLIM_INFINITY else min(ENOUGH, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
