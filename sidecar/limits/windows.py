"""Counting by the minute in this process: a moving window for requests, whole minutes for tokens.

No clock is read here: the caller says what time it is, in seconds of any clock that does not go back.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MINUTE: Final = 60.0


class Window(NamedTuple):
    """How much of a limit is left."""

    limit: int
    remaining: int
    reset: float
    """Seconds until more is left than now; 0 when nothing is used."""
    refused: bool = False


class RequestWindow:
    """Requests of the last sixty seconds: a burst up to the limit passes at once, each comes back a minute later."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()

    def take(self, limit: int, now: float) -> Window:
        """Count one request, unless the limit is reached."""
        window = self.look(limit, now)
        if window.remaining == 0:
            return Window(limit, 0, window.reset, refused=True)
        self._taken.append(now)
        return Window(limit, window.remaining - 1, self._taken[0] + MINUTE - now)

    def look(self, limit: int, now: float) -> Window:
        while self._taken and self._taken[0] <= now - MINUTE:
            self._taken.popleft()
        used = len(self._taken)
        if used == 0:
            return Window(limit, limit, 0.0)
        freed_by = self._taken[max(0, used - limit)]  # a lowered limit has more than one to wait for
        return Window(limit, max(0, limit - used), freed_by + MINUTE - now)


class TokenWindow:
    """Tokens of the running minute, which begins with the first answer after the last one ended.

    What an answer used is known when it is there, so the last one may go beyond the limit; then nothing passes until
    the minute is over.
    """

    def __init__(self) -> None:
        self._used = 0
        self._end = 0.0

    def add(self, tokens: int, now: float) -> None:
        if now >= self._end:
            self._used, self._end = 0, now + MINUTE
        self._used += tokens

    def look(self, limit: int, now: float) -> Window:
        if now >= self._end:
            return Window(limit, limit, 0.0)
        remaining = max(0, limit - self._used)
        left = min(MINUTE, self._end - now)  # a sum of floats may be the last bit more
        return Window(limit, remaining, left, refused=remaining == 0)


@dataclass(frozen=True, slots=True)
class Minutes:
    """What was counted by project. It outlives the settings: who reads them anew begins no fresh minute."""

    requests: defaultdict[str, RequestWindow] = field(default_factory=lambda: defaultdict(RequestWindow))
    tokens: defaultdict[str, TokenWindow] = field(default_factory=lambda: defaultdict(TokenWindow))
