"""What differs between two texts, as hunks that turn the one exactly into the other.

A line here is what stands between two line feeds, and nothing else ends one: a carriage return is the last character of
its line, and a final line feed makes an empty last line. So every text is `"\n".join` of its lines, and exactness costs
no special case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Final, NamedTuple

LONG_LINE: Final = 200
"""Characters. A change inside a longer line is told by the words around it, not by the whole line again."""
LONGEST_LINE: Final = 65_536
"""Characters of a line that is looked into."""
MOST_COMPARED: Final = 100_000
"""Old lines times new ones that are matched with each other; past it they are one hunk. Bounds the work."""
WORDS_BEFORE: Final = 6
WORDS_BEHIND: Final = 2
"""Words and the spaces between them that a fragment shows around what changed."""
LONG_WORD: Final = 24
"""Characters of a word that is not shown for orientation's sake."""

_WORDS = re.compile(r"\s+|\S+")

type Run = tuple[int, int, int, int]
"""What differs: old[a:b] became new[c:d]."""


class Hunk(NamedTuple):
    """Lines in the place of others, or characters of one line in the place of others."""

    line: int
    """The first old line, counted from 0."""
    gone: int
    """How many old lines it replaces."""
    new_line: int
    """Where the new lines begin, counted in the new text."""
    new: tuple[str, ...]
    span: tuple[int, int] | None = None
    """Characters of the one old line that the one text in `new` replaces; None for whole lines."""


def differences(old: str, new: str) -> list[Hunk]:
    """The hunks, in order; none where the texts are the same."""
    if old == new:
        return []
    before, now = old.split("\n"), new.split("\n")
    hunks: list[Hunk] = []
    for a, b, c, d in runs(before, now):
        if b - a == d - c and any(len(line) > LONG_LINE for line in before[a:b]):
            for line, new_line in zip(range(a, b), range(c, d), strict=True):
                hunks += _within(line, new_line, before[line], now[new_line])
        else:
            hunks.append(Hunk(a, b - a, c, tuple(now[c:d])))
    return hunks


def patched(old: str, hunks: Sequence[Hunk]) -> str:
    """The new text. ValueError where a hunk does not fit the old one."""
    lines = old.split("\n")
    for hunk in sorted(hunks, key=lambda hunk: (hunk.line, hunk.span or (0, 0)), reverse=True):
        if hunk.line + hunk.gone > len(lines):
            raise ValueError(f"there is no line {hunk.line + hunk.gone}")
        if hunk.span is None:
            lines[hunk.line : hunk.line + hunk.gone] = hunk.new
        else:
            start, end = hunk.span
            line = lines[hunk.line]
            if hunk.gone != 1 or len(hunk.new) != 1 or not start <= end <= len(line):
                raise ValueError(f"line {hunk.line + 1} has no characters {start + 1}-{end}")
            lines[hunk.line] = line[:start] + hunk.new[0] + line[end:]
    return "\n".join(lines)


def runs(old: Sequence[str], new: Sequence[str]) -> list[Run]:
    """Runs of pieces that differ, in order. Not always the fewest: the work is bounded."""
    shorter = min(len(old), len(new))
    start = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    tail = next((at for at in range(shorter - start) if old[-1 - at] != new[-1 - at]), shorter - start)
    middle, now = old[start : len(old) - tail], new[start : len(new) - tail]
    if not middle or not now:
        found = [(0, len(middle), 0, len(now))] if middle or now else []
    elif len(middle) == len(now) and 2 * len(places := _unlike(middle, now)) <= len(middle):
        found = [(first, last, first, last) for first, last in _joined(places)]
    elif len(middle) * len(now) <= MOST_COMPARED:
        matcher = SequenceMatcher(None, middle, now, autojunk=False)
        found = [(a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]
    else:
        found = [(0, len(middle), 0, len(now))]
    return [(start + a, start + b, start + c, start + d) for a, b, c, d in found]


def _unlike(old: Sequence[str], new: Sequence[str]) -> list[int]:
    return [at for at, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]


def _joined(places: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbours as (first, behind the last)."""
    spans: list[tuple[int, int]] = []
    for place in places:
        if spans and spans[-1][1] == place:
            spans[-1] = spans[-1][0], place + 1
        else:
            spans.append((place, place + 1))
    return spans


def _within(line: int, new_line: int, old: str, new: str) -> list[Hunk]:
    """The changes inside one line, with some words around them; the whole line where it is short, endless, or most
    of it is new."""
    if old == new:
        return []
    whole = [Hunk(line, 1, new_line, (new,))]
    if not LONG_LINE < len(old) <= LONGEST_LINE:
        return whole
    before, now = _WORDS.findall(old), _WORDS.findall(new)
    old_ends, new_ends = [0, *accumulate(map(len, before))], [0, *accumulate(map(len, now))]
    spans: list[Run] = []
    for a, b, c, d in runs(before, now):
        left, right = _reach(before[max(0, a - WORDS_BEFORE) : a][::-1]), _reach(before[b : b + WORDS_BEHIND])
        span = old_ends[a] - left, old_ends[b] + right, new_ends[c] - left, new_ends[d] + right
        if spans and span[0] <= spans[-1][1]:
            span = spans[-1][0], span[1], spans[-1][2], span[3]
            spans.pop()
        spans.append(span)
    spans = [_trimmed(old, new, span) for span in spans]
    if 2 * sum(d - c for _, _, c, d in spans) > len(new):
        return whole
    return [Hunk(line, 1, new_line, (new[c:d],), (a, b)) for a, b, c, d in spans]


def _reach(words: Sequence[str]) -> int:
    """Characters up to the first long word."""
    reach = 0
    for word in words:
        if len(word) > LONG_WORD:
            break
        reach += len(word)
    return reach


def _trimmed(old: str, new: str, span: Run) -> Run:
    """Text without spaces is one word however long it is: what is the same at its ends need not be told."""
    a, b, c, d = span
    if b - a <= LONG_LINE and d - c <= LONG_LINE:
        return span
    room = min(b - a, d - c)
    head = next((at for at in range(room) if old[a + at] != new[c + at]), room)
    tail = next((at for at in range(room - head) if old[b - 1 - at] != new[d - 1 - at]), room - head)
    head, tail = max(0, head - LONG_WORD), max(0, tail - LONG_WORD)
    return a + head, b - tail, c + head, d - tail
