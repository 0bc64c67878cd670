"""Whether another try is worth it, and after how long: full-jitter exponential backoff (AWS Architecture Blog,
"Exponential Backoff And Jitter"), Claude's own word before ours, and never longer than the client waits.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Final

from sidecar.errors import GatewayError

TRIES: Final = 3
"""The first one included, as the SDKs do."""

FIRST_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 8.0
"""What a wait may be at most after the first failure, and after any."""

PATIENCE_SECONDS: Final = 60.0
"""How long a client is kept waiting by failures, where it does not say itself that it waits less."""

TRANSIENT: Final = frozenset({408, 409, 429})
"""Below 500, the statuses that the same request may not meet again (the SDKs' list)."""

NOT_TRANSIENT: Final = frozenset({"upstream_untrusted"})
"""Codes of failures that no waiting mends."""

PATIENCE_HEADERS: Final = ("x-stainless-timeout", "x-stainless-read-timeout")
"""Where SDKs say how many seconds they wait."""

LAYER: Final = "retries"
"""Whose account it is on when Claude bills the beginning of an answer that nobody got."""


def patience(headers: Mapping[str, str]) -> float:
    """Seconds that the client of these (lower-case) headers may be kept waiting by failures."""
    told = [
        float(value)
        for name in PATIENCE_HEADERS
        if (value := headers.get(name)) and re.fullmatch(r"\d{1,6}(\.\d+)?", value)
    ]
    return min([PATIENCE_SECONDS, *(seconds for seconds in told if seconds)])


def wait_before(
    error: GatewayError, tries: int, *, left: float, chance: Callable[[], float] = random.random
) -> float | None:
    """Seconds until the next try after `tries` that failed, the last with `error`; None for no other try.

    `left` is what remains of the client's patience, in seconds. `chance` gives numbers from 0 to 1.
    """
    if not _is_transient(error) or tries >= TRIES:
        return None
    wait = chance() * min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (tries - 1))
    if error.retry_after is not None:
        wait += error.retry_after  # behind it, so that all that were told the same do not come at once
    return wait if wait < left else None


def _is_transient(error: GatewayError) -> bool:
    if not error.upstream or error.code in NOT_TRANSIENT:
        return False
    match error.headers.get("x-should-retry"):
        case "true":
            return True
        case "false":
            return False
    return error.status >= 500 or error.status in TRANSIENT
