"""The words of a reference, and a text put together from references and what is left between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.references.index import Run
from sidecar.references.labels import short_line, where
from sidecar.references.marker import PREFIX, Patch, Place, write_reference
from sidecar.references.near_copies import NearCopy
from sidecar.references.reading import Form, Reading
from sidecar.references.zones import Zone

LEAST_GAIN: Final = 24
"""Characters that a reference must save."""


@dataclass(frozen=True, slots=True)
class Stand:
    """What is to stand for lines `first` to `end` (not included)."""

    first: int
    end: int
    words: str
    source: bytes
    """Digest of the text with the lines."""
    source_first: int
    form: Form
    patch: Patch | None = None
    diff: str = ""

    def write(self, place: Place) -> str:
        return write_reference(
            self.words,
            digest=self.source,
            first=self.source_first,
            form=self.form,
            place=place,
            patch=self.patch,
            diff=self.diff,
        )


def reference(reading: Reading, zone: Zone, run: Run) -> Stand:
    """The reference for a run."""
    source, count = run.at.source, run.end - run.first
    form = zone.form.at(run.first - zone.first)
    if zone.environment:
        words = f"same {count} lines as above"
    else:
        stand = where(source, run.at.first, count)
        words = f"same {count} lines as {stand} above{_now_numbered(stand, form, count)}"
        words += _from_to(reading.keys[run.first : run.end])
    return Stand(run.first, run.end, _harmless(words, count), source.digest, run.at.first, form)


def difference(zone: Zone, copy: NearCopy) -> Stand:
    """The diff against an earlier copy."""
    at, count = copy.base.at, copy.end - copy.first
    form = zone.form.at(copy.first - zone.first)
    patch = Patch(copy.base_lines, copy.diff.count("\n") + 1)
    stand = where(at.source, at.first, copy.base_lines)
    words = (
        f"these {count} lines are {stand} above{_now_numbered(stand, form, count)} with this {patch.lines}-line diff"
    )
    return Stand(copy.first, copy.end, _harmless(words, count), at.source.digest, at.first, form, patch, copy.diff)


def compose(reading: Reading, anchor: bytes, stands: Sequence[Stand]) -> tuple[str, list[Stand]]:
    """The text with its references, and those that were worth their characters."""
    pieces: list[str] = []
    used: list[Stand] = []
    at = length = 0
    for stand in stands:
        start, end = reading.starts[stand.first], reading.end_of(stand.end - 1)
        written = stand.write(Place(anchor, length + start - at))
        if end - start - len(written) < LEAST_GAIN:
            continue
        pieces += [reading.text[at:start], written]
        length += start - at + len(written)
        at = end
        used.append(stand)
    return "".join([*pieces, reading.text[at:]]), used


def _now_numbered(stand: str, form: Form, count: int) -> str:
    """Said where the lines have other numbers now than where they stand."""
    if form.numbering is None:
        return ""
    numbers = f"{form.numbering.start}-{form.numbering.start + count - 1}"
    return "" if stand.endswith(f":{numbers}") else f", here {numbers}"


def _from_to(keys: Sequence[str]) -> str:
    said = [words for key in keys if (words := short_line(key))]
    return f', "{said[0]}" to "{said[-1]}"' if said else ""


def _harmless(words: str, count: int) -> str:
    """Words that hold the beginning of a marker would make two of one."""
    return words if PREFIX not in words else f"{words.split(' ', 1)[0]} {count} lines as above"
