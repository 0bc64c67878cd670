"""Where the part of a system prompt ends that other conversations of the same client had too.

For what no repair can reach, the first request of a conversation: a cache marker on the stable part finds what an
earlier conversation wrote, though the clock behind it has moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

LEAST_STABLE: Final = 2_000
"""Characters: about the 512 tokens below which Claude caches nothing."""


def split_point(earlier: Sequence[str], current: str) -> int | None:
    """Where to cut `current` in two, in characters: at the start of the first line (in a text of one line, of the first
    word) that differs in most of the `earlier` texts. None where nothing long enough is stable, or nothing varies."""
    cuts = Counter(
        cut
        for text in earlier
        if text != current and (cut := _boundary(current, _common(text, current))) is not None and cut < len(current)
    )
    return max(cuts, key=lambda cut: (cuts[cut], cut), default=None)


def _common(one: str, other: str) -> int:
    """How many leading characters two texts share. Halving: comparing slices is what the interpreter does fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _boundary(text: str, end: int) -> int | None:
    """The last boundary up to `end`; None where too little stands before it."""
    if end == len(text):
        return end
    boundaries = (text.rfind(mark, 0, end) + 1 for mark in ("\n", " "))
    return next((boundary for boundary in boundaries if boundary >= LEAST_STABLE), None)
