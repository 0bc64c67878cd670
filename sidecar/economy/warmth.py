"""What is in the prompt cache now, told from what went upstream and from the usage that came back.

Rules of the documentation: only marked blocks make entries, each holds the whole prefix, a lifetime counts from the
start of the request that wrote or last read the entry, and a hit refreshes what was found and what was marked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from sidecar.conversation import LIFETIME_SECONDS, Accepted, Lifetime, Line

TokensAt = Callable[[int], int]
"""Tokens of so many leading positions."""

TOLERANCE: Final = 1.05
"""Between two known ends, tokens are interpolated: an entry may be that much longer than what was read of it."""


MOST_KNOWN: Final = 16
"""Entries of one model that are remembered of a line: the work must not grow with a conversation. Every request marks
what must stay alive, so what was written or read longest ago goes first."""


class Entry(NamedTuple):
    """One cached prefix."""

    until: int
    """How many positions it holds."""
    tokens: int
    ttl: Lifetime
    expires: float
    """Epoch seconds."""


Known = dict[int, Entry]
"""Entries by how many positions they hold, those last that were written or read last."""


class Warmth(NamedTuple):
    """What the caches hold of a line after so many of its turns, by model."""

    turns: int
    known: dict[str, Known]


def entries(requests: Iterable[Accepted], tokens_at: TokensAt, *, model: str, now: float) -> list[Entry]:
    """What a request to `model` at `now` can find, the shortest first.

    Usage has the last word: an entry above what a request read was not there for it, and where nothing was written
    nothing can be found.
    """
    known: Known | None = None
    for one in requests:
        if one.model == model:
            known = _after(one, known, tokens_at)
    return _alive(known, now)


def readable(line: Line, frozen: int, *, model: str, now: float) -> list[Entry]:
    """What a request that shares `frozen` positions with the line can find of it, the shortest first: of the line's
    `entries`."""
    alive = _alive(_carried_on(line).get(model), now) if frozen else []
    while alive and alive[-1].until > frozen:
        alive.pop()
    return alive


def _carried_on(line: Line) -> dict[str, Known]:
    """What the caches hold of a line, told from what they held when somebody asked last, and the requests since."""
    before, requests = line.warmth, line.requests
    new = requests if before is None else requests[max(0, len(requests) - line.turns + before.turns) :]
    known = {} if before is None else before.known
    tokens_at = tokens_of(line)
    for one in new:
        known[one.model] = _after(one, known.get(one.model), tokens_at)
    line.warmth = Warmth(line.turns, known)
    return known


def _alive(known: Known | None, now: float) -> list[Entry]:
    return sorted([entry for entry in known.values() if now < entry.expires]) if known else []


def _after(one: Accepted, known: Known | None, tokens_at: TokensAt) -> Known:
    """The entries once `one` was answered; `known` is None where nobody knows what there was before."""
    if not (one.read or one.written_5m or one.written_1h):
        return {}
    now, most, end = one.now, one.read * TOLERANCE, one.until
    found = {
        until: entry
        for until, entry in (known or {}).items()
        if now < entry.expires and entry.tokens <= most and until <= end
    }
    read = {until for index in one.marks if (until := index + 1) in found}
    if found:
        read.add(max(found))
    for until in sorted(read):
        _, tokens, lifetime, _ = found.pop(until)
        found[until] = Entry(until, tokens, lifetime, now + LIFETIME_SECONDS[lifetime])
    for index, ttl in one.marks.items():
        if (until := index + 1) in read:
            continue
        tokens = tokens_at(until)
        if known is None or tokens * TOLERANCE >= one.read:
            lifetime = "1h" if ttl == "1h" else "5m"
            found[until] = Entry(until, tokens, lifetime, now + LIFETIME_SECONDS[lifetime])
    while len(found) > MOST_KNOWN:
        del found[next(iter(found))]
    return found


def tokens_of(line: Line) -> TokensAt:
    """Tokens at every position of a line: exact where requests ended, in between by bytes."""
    points, sizes = line.known_tokens(), line.sizes

    def size(until: int) -> int:
        return sizes[min(until, len(sizes)) - 1] if until and sizes else 0

    def tokens_at(until: int) -> int:
        above = bisect_left(points, (until,))
        if above == len(points):
            last, tokens = points[-1]
            return tokens + round((size(until) - size(last)) * (tokens / size(last) if last else 1 / 3))
        end, many = points[above]
        if end == until:
            return many
        low, few = points[above - 1]
        return few + (many - few) * (size(until) - size(low)) // max(1, size(end) - size(low))

    return tokens_at
