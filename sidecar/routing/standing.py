"""What was decided for a conversation before, and how a request is found to go on with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

from sidecar.routing.rules import LANES, WISHES, Lane, Wish

MOST_BRANCHES: Final = 16
"""Of one opening: the newest requests of conversations that begin alike, and the first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The model that a conversation keeps, as of one of its requests."""

    model: str
    lane: Lane
    base: Lane
    """The lane before trouble lifted it."""
    wish: Wish
    until: int
    """How many blocks the request had."""
    link: str
    """The hash of them all, in hexadecimal."""
    first: bool = True
    """Whether nobody had answered yet."""
    thought: bool = False
    """Whether Claude thought before it answered that request."""


def key_of(project: str, session: str | None, opening: tuple[str, str]) -> str:
    """The same for every request of a conversation: the system text's head, the user's first words, and what the
    client calls it. Never across projects."""
    parts = [part.encode("utf-8", "surrogatepass") for part in (project, session or "", *opening)]
    return blake2b(b"\0".join(parts), digest_size=16).hexdigest()


def find(branches: Sequence[Standing], chain: Sequence[bytes], *, first: bool) -> Standing | None:
    """What holds for a request with these hashes: of its longest known prefix; where none is known, the newest, since a
    changed answer does not make another conversation. A request that nobody answered yet begins one."""
    known = [one for one in branches if one.until <= len(chain) and chain[one.until - 1].hex() == one.link]
    if known:
        return max(known, key=lambda one: one.until)
    return branches[-1] if branches and not first else None


def with_branch(branches: Sequence[Standing], new: Standing) -> list[Standing]:
    """The newest last; the first one stays, so that a conversation that begins alike finds how this one began."""
    kept = [one for one in branches if (one.until, one.link) != (new.until, new.link)] + [new]
    return kept if len(kept) <= MOST_BRANCHES else [kept[0], *kept[2:]]


def encode(branches: Iterable[Standing]) -> bytes:
    rows = [[one.model, one.lane, one.base, one.wish, one.until, one.link, one.first, one.thought] for one in branches]
    return orjson.dumps(rows)


def decode(kept: bytes | None) -> list[Standing]:
    """Nothing of what makes no sense: a conversation then begins anew."""
    try:
        return [_read(*row) for row in orjson.loads(kept)] if kept else []
    except (ValueError, TypeError):
        return []


def _read(
    model: str, lane: Lane, base: Lane, wish: Wish, until: int, link: str, first: bool, thought: bool
) -> Standing:
    known = lane in LANES and base in LANES and wish in WISHES
    if not (known and isinstance(model, str) and isinstance(link, str) and type(until) is int and until > 0):
        raise ValueError("no standing")
    return Standing(model, lane, base, wish, until, link, bool(first), bool(thought))
