"""Cutting a text that is too long: its head and its tail stay, whole lines where there are lines.

Pure, and a function of the text and its limit alone, so that the same text is cut in the same way in every turn. Sizes
are in characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

ID_BYTES: Final = 6
RAGGED: Final = 0.5
"""The share of its room that a head or a tail may lose to end at a line's end. A line that would cost more is cut
inside."""
LONGEST_CLUSTER: Final = 32
"""Code points that are looked at for the edge of what a reader takes for one character."""

_ZERO_WIDTH_JOINER = "\u200d"


class Cut(NamedTuple):
    text: str
    """What is left, with the marker."""
    id: str
    """Names the whole text, for `cgw show`."""
    characters: int
    """Left out."""
    lines: int
    """Lines of which something was left out."""


def cut_id(text: str) -> str:
    """12 hex digits that name a text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=ID_BYTES).hexdigest()


def cut(text: str, limit: int, *, whole: str | None = None) -> Cut | None:
    """The text in at most `limit` characters; None where it fits, or where the marker would need what it saves.

    `whole` is the text that the marker's id leads to, where it is another one than `text`. A limit that has no room for
    the marker leaves the marker alone.
    """
    if len(text) <= limit:
        return None
    name = cut_id(text if whole is None else whole)
    room = max(0, limit - len(_marker(len(text), text.count("\n") + 1, name)) - 2)
    head = text[: _end_of_head(text, room - room // 2)]
    tail = text[_start_of_tail(text, len(text) - room // 2) :]
    missing = text[len(head) : len(text) - len(tail)]
    lines = missing.count("\n") + (not missing.endswith("\n"))
    marker = _marker(len(missing), lines, name)
    short = (
        head + ("" if not head or head.endswith("\n") else "\n") + marker + ("\n" if tail or text[-1] == "\n" else "")
    ) + tail
    return Cut(short, name, len(missing), lines) if len(short) < len(text) else None


def stub(what: str, text: str) -> str:
    """One line in the place of a whole text."""
    lines = text.count("\n") + (not text.endswith("\n"))
    return f"[cgw cut: {what}, {_counted(len(text), lines)}. To read it: cgw show {cut_id(text)}]"


def shares(sizes: Sequence[int], limit: int) -> list[int]:
    """`limit` dealt out to several texts: the smaller ones stay whole, the larger ones share what is left."""
    dealt = [0] * len(sizes)
    left = limit
    for rank, index in enumerate(sorted(range(len(sizes)), key=lambda index: sizes[index])):
        dealt[index] = min(sizes[index], left // (len(sizes) - rank))
        left -= dealt[index]
    return dealt


def _marker(characters: int, lines: int, name: str) -> str:
    return f"[cgw cut: {_counted(characters, lines)} left out here. To read all of it: cgw show {name}]"


def _counted(characters: int, lines: int) -> str:
    return f"{characters:,} characters in {lines:,} line{'' if lines == 1 else 's'}"


def _end_of_head(text: str, room: int) -> int:
    newline = text.rfind("\n", 0, room) + 1
    return newline if newline and newline >= room * RAGGED else _edge(text, room, -1)


def _start_of_tail(text: str, start: int) -> int:
    if start >= len(text):
        return len(text)
    line = text.find("\n", max(0, start - 1)) + 1
    if line and len(text) - line >= (len(text) - start) * RAGGED:
        return line
    return _edge(text, start, 1)


def _edge(text: str, at: int, step: int) -> int:
    """The nearest place on the way of `step` that is not inside of what a reader takes for one character."""
    for moved in range(0, LONGEST_CLUSTER * step, step):
        place = at + moved
        if place <= 0 or place >= len(text) or not _inside(text[place - 1], text[place]):
            return min(max(place, 0), len(text))
    return at


def _inside(before: str, behind: str) -> bool:
    return (
        (before, behind) == ("\r", "\n")
        or _ZERO_WIDTH_JOINER in (before, behind)
        or unicodedata.category(behind) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= behind <= "\U0001f3ff"  # skin tones
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= behind <= "\udfff")
    )
