"""What is in the prompt cache now, told from what went upstream and from the usage that came back.

Rules of the documentation: only marked blocks make entries, each holds the whole prefix, a lifetime counts from the
start of the request that wrote or last read the entry, and a hit refreshes what was found and what was marked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.conversation import LIFETIME_SECONDS, Accepted, Lifetime, Line

TokensAt = Callable[[int], int]
"""Tokens of so many leading positions."""

TOLERANCE: Final = 1.05
"""Between two known ends, tokens are interpolated: an entry may be that much longer than what was read of it."""


LOOKED_AT: Final = 12
"""Requests: the work must not grow with a conversation."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One cached prefix."""

    until: int
    """How many positions it holds."""
    tokens: int
    ttl: Lifetime
    expires: float
    """Epoch seconds."""


def entries(requests: Sequence[Accepted], tokens_at: TokensAt, *, model: str, now: float) -> list[Entry]:
    """What a request to `model` at `now` can find, the shortest first.

    Usage has the last word: an entry above what a request read was not there for it, and where nothing was written
    nothing can be found. Every request marks what must stay alive, so the newest few tell all of it.
    """
    known: dict[int, Entry] | None = None
    for one in requests[-LOOKED_AT:]:
        if one.model == model:
            known = _after(one, known, tokens_at)
    return sorted((entry for entry in (known or {}).values() if now < entry.expires), key=_until)


def readable(line: Line, frozen: int, *, model: str, now: float) -> list[Entry]:
    """What a request that shares `frozen` positions with the line can find of it, the shortest first."""
    if not frozen:
        return []
    same = [one for one in line.requests if one.model == model]
    return [entry for entry in entries(same, tokens_of(line), model=model, now=now) if entry.until <= frozen]


def _after(one: Accepted, known: dict[int, Entry] | None, tokens_at: TokensAt) -> dict[int, Entry]:
    """The entries once `one` was answered; `known` is None where nobody knows what there was before."""
    if not (one.read or one.written_5m or one.written_1h):
        return {}
    found = {
        until: entry
        for until, entry in (known or {}).items()
        if one.now < entry.expires and entry.tokens <= one.read * TOLERANCE and until <= one.until
    }
    hit = max(found, default=0)
    for until, entry in found.items():
        if until == hit or until - 1 in one.marks:
            found[until] = Entry(until, entry.tokens, entry.ttl, one.now + LIFETIME_SECONDS[entry.ttl])
    for index, ttl in one.marks.items():
        if index + 1 in found:
            continue
        tokens = tokens_at(index + 1)
        if known is None or tokens * TOLERANCE >= one.read:
            lifetime: Lifetime = "1h" if ttl == "1h" else "5m"
            found[index + 1] = Entry(index + 1, tokens, lifetime, one.now + LIFETIME_SECONDS[lifetime])
    return found


def _until(entry: Entry) -> int:
    return entry.until


def tokens_of(line: Line) -> TokensAt:
    """Tokens at every position of a line: exact where requests ended, in between by bytes."""
    points = [(0, 0), *line.known_tokens()]
    ends = [until for until, _ in points]

    def size(until: int) -> int:
        return line.sizes[min(until, len(line.sizes)) - 1] if until and line.sizes else 0

    def tokens_at(until: int) -> int:
        above = bisect_left(ends, until)
        if above == len(ends):
            last, tokens = points[-1]
            return tokens + round((size(until) - size(last)) * (tokens / size(last) if last else 1 / 3))
        if ends[above] == until:
            return points[above][1]
        (low, few), (high, many) = points[above - 1], points[above]
        return few + (many - few) * (size(until) - size(low)) // max(1, size(high) - size(low))

    return tokens_at
