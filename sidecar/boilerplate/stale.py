"""The editor's state at an earlier moment: what of it can go where the prompt cache is cold. Lossy, and marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from sidecar.boilerplate.segments import Segment

FEWEST_SAVED: Final = 80
"""Characters: less is not worth a marker."""

_SECTION = re.compile(r"^(?=# |={4}$)", re.MULTILINE)


class Trimmed(NamedTuple):
    text: str
    characters: int
    """Left out."""


def trim(text: str, segments: Sequence[Segment]) -> Trimmed | None:
    """The text without what is stale in these segments of class B; None where that would save too little."""
    parts, left_out, done = [], 0, 0
    for segment in segments:
        if segment.start < done:
            continue
        before, behind, dropped = _split(text[segment.start : segment.end], segment)
        marker = f"[cgw cut: {dropped} characters of the editor's state then]"
        if dropped < len(marker) + FEWEST_SAVED:
            continue
        parts += [text[done : segment.start], before, marker, behind]
        left_out += dropped
        done = segment.end
    return Trimmed("".join([*parts, text[done:]]), left_out) if left_out else None


def _split(state: str, segment: Segment) -> tuple[str, str, int]:
    """What stays before and behind the first thing that goes, and how many characters go in all."""
    row = segment.row
    if not row.drop:
        return "", "", len(state)
    closing = next((end for end in row.end if state.endswith(end)), "")
    before, behind, dropped = "", "", 0
    for section in _SECTION.split(state[: len(state) - len(closing)]):
        heading = section.partition("\n")[0]
        if any(fnmatchcase(heading, pattern) for pattern in row.drop):
            dropped += len(section)
        elif dropped:
            behind += section
        else:
            before += section
    return before, (f"\n{behind}" if behind else "") + closing, dropped
