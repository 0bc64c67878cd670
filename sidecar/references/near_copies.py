"""A file that was changed in many places, as a diff against the one earlier copy that it is nearest to.

The diff is a unified one without context lines, its numbers count from the copy's first line. What is found to be the
same already says where the two differ, so only the gaps are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final, NamedTuple

from sidecar.references.budget import COMPARISON, Budget
from sidecar.references.index import Run

LARGEST_GAP: Final = 120
"""Lines on one side of a gap from which it is replaced whole: comparing takes their product."""
_HUNK: Final = re.compile(r"@@ -(\d{1,7})(?:,(\d{1,7}))? \+\d+(?:,\d+)? @@")


class NearCopy(NamedTuple):
    """Lines `first` to `end` (not included) of a text, as a diff against lines of one source."""

    first: int
    end: int
    base: Run
    """Its lines begin where the earlier copy does."""
    base_lines: int
    diff: str


def near_copy(keys: Sequence[str], runs: Sequence[Run], budget: Budget) -> NearCopy | None:
    """The diff against the source that most of the runs stand in; None where it holds no whole copy."""
    chain = _longest_chain(runs)
    if len(chain) < 2 or chain[0].lines is None:
        return None
    head, tail = chain[0], chain[-1]
    count = tail.at + tail.end - tail.first - head.at
    base = [key for key in chain[0].lines.stretch(head.number, head.at, count) if key is not None]
    if len(base) < count:
        return None
    diff = "\n".join(_hunks(keys, base, chain, budget))
    return NearCopy(head.first, tail.end, head, count, diff) if diff else None


def apply_diff(base: Sequence[str], diff: str) -> list[str] | None:
    """The lines that the diff makes of `base`; None where it is not a diff against it."""
    patched: list[str] = []
    done = 0
    lines = diff.split("\n")
    at = 0
    while at < len(lines):
        hunk = _HUNK.fullmatch(lines[at])
        if hunk is None:
            return None
        removed = 1 if hunk[2] is None else int(hunk[2])
        start = int(hunk[1]) - (1 if removed else 0)
        if not done <= start <= len(base):
            return None
        patched += base[done:start]
        done = start + removed
        gone = [f"-{key}" for key in base[start:done]]
        at += 1
        if len(gone) < removed or lines[at : at + removed] != gone:
            return None
        at += removed
        while at < len(lines) and lines[at].startswith("+"):
            patched.append(lines[at][1:])
            at += 1
    return [*patched, *base[done:]]


def _longest_chain(runs: Sequence[Run]) -> list[Run]:
    """Runs of one source in the order in which they stand there too; the source with most lines in them."""
    chains: dict[tuple[int, int], list[Run]] = {}
    for run in runs:
        chain = chains.setdefault((id(run.lines), run.number), []) if run.lines is not None else []
        if not chain or run.at >= chain[-1].at + chain[-1].end - chain[-1].first:
            chain.append(run)
    return max(chains.values(), key=lambda chain: sum(run.end - run.first for run in chain), default=[])


def _hunks(keys: Sequence[str], base: Sequence[str], chain: Sequence[Run], budget: Budget) -> Iterator[str]:
    """The lines of the diff. Base lines are counted from the first run's."""
    first, origin = chain[0].first, chain[0].at
    for before, behind in pairwise(chain):
        gone_from = before.at + before.end - before.first - origin
        gone = base[gone_from : behind.at - origin]
        new = keys[before.end : behind.first]
        for a, b, c, d in _changes(gone, new, budget):
            yield f"@@ -{_span(gone_from + a, b - a)} +{_span(before.end - first + c, d - c)} @@"
            yield from (f"-{key}" for key in gone[a:b])
            yield from (f"+{key}" for key in new[c:d])


def _changes(gone: Sequence[str], new: Sequence[str], budget: Budget) -> Iterator[tuple[int, int, int, int]]:
    if max(len(gone), len(new)) > LARGEST_GAP:
        yield 0, len(gone), 0, len(new)
        return
    budget.spend(len(gone) * len(new) * COMPARISON)
    for tag, a, b, c, d in SequenceMatcher(None, gone, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield a, b, c, d


def _span(start: int, count: int) -> str:
    """Lines in a hunk's head, from 1; with none of them, the line before."""
    return f"{start + 1}" if count == 1 else f"{start + 1 if count else start},{count}"
