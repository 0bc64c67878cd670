"""What is in the prompt cache now, told from what went upstream and from the usage that came back.

Rules of the documentation: only marked blocks make entries, each holds the whole prefix, a lifetime counts from the
start of the request that wrote or last read the entry, and a hit refreshes what was found and what was marked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from sidecar.conversation import LIFETIME_SECONDS, Accepted, Lifetime, Line

TokensAt = Callable[[int], int]
"""Tokens of so many leading positions."""

TOLERANCE: Final = 1.05
"""Between two known ends, tokens are interpolated: an entry may be that much longer than what was read of it."""


LOOKED_AT: Final = 12
"""Requests: the work must not grow with a conversation."""


class Entry(NamedTuple):
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
    now, most, end = one.now, one.read * TOLERANCE, one.until
    found = {
        until: entry
        for until, entry in (known or {}).items()
        if now < entry.expires and entry.tokens <= most and until <= end
    }
    refreshed = {until for index in one.marks if (until := index + 1) in found}
    for until in {*refreshed, max(found)} if found else ():
        _, tokens, lifetime, _ = found[until]
        found[until] = Entry(until, tokens, lifetime, now + LIFETIME_SECONDS[lifetime])
    for index, ttl in one.marks.items():
        if (until := index + 1) in refreshed:
            continue
        tokens = tokens_at(until)
        if known is None or tokens * TOLERANCE >= one.read:
            lifetime = "1h" if ttl == "1h" else "5m"
            found[until] = Entry(until, tokens, lifetime, now + LIFETIME_SECONDS[lifetime])
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
