"""The words of a reference, and a text put together from references and what is left between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sidecar.references.index import Run
from sidecar.references.labels import short_line, where
from sidecar.references.marker import PREFIX, Patch, Place, digest_of, write_reference
from sidecar.references.near_copies import NearCopy
from sidecar.references.reading import Form, Reading
from sidecar.references.sources import Source
from sidecar.references.zones import Zone

LEAST_GAIN: Final = 24
"""Characters that a reference must save."""


@dataclass(frozen=True, slots=True)
class Stand:
    """What is to stand for lines `first` to `end` (not included)."""

    first: int
    end: int
    words: str
    digest: bytes
    """Of the text with the lines; of the lines alone where that is the same text."""
    at: int
    """The first of the lines there; counted in the whole text where that is the same one."""
    form: Form
    own: bool = False
    patch: Patch | None = None
    diff: str = ""

    def write(self, place: Place, shift: int) -> str:
        """`shift`: how many lines fewer there are before `at` in a text that is the same one."""
        return write_reference(
            self.words,
            digest=self.digest,
            own=self.own,
            first=self.at - shift,
            form=self.form,
            place=place,
            patch=self.patch,
            diff=self.diff,
        )

    @property
    def lines_fewer(self) -> int:
        return self.end - self.first - 1 - (0 if self.patch is None else self.patch.lines)


class Used(NamedTuple):
    """What stands in a text now."""

    stand: Stand
    saved: int
    """Characters."""


def reference(reading: Reading, zone: Zone, run: Run) -> Stand:
    """The reference for a run."""
    source, count = run.source, run.end - run.first
    keys = reading.keys[run.first : run.end]
    form = zone.form.at(run.first - zone.first)
    words = f"same {count} lines as "
    if zone.environment:
        words += "above"
    elif source is None:
        words += f"above in this text{_from_to(keys)}"
    else:
        stand = where(source, run.at, count)
        words += f"{stand} above{_now_numbered(stand, form, count)}{_from_to(keys)}"
    digest = source.digest if source is not None else digest_of("\n".join(keys))
    return Stand(run.first, run.end, _harmless(words, count), digest, run.at, form, own=source is None)


def difference(zone: Zone, copy: NearCopy, source: Source) -> Stand:
    """The diff against an earlier copy."""
    count = copy.end - copy.first
    form = zone.form.at(copy.first - zone.first)
    patch = Patch(copy.base_lines, copy.diff.count("\n") + 1)
    stand = where(source, copy.base.at, copy.base_lines)
    words = (
        f"these {count} lines are {stand} above{_now_numbered(stand, form, count)} with this {patch.lines}-line diff"
    )
    words = _harmless(words, count)
    return Stand(copy.first, copy.end, words, source.digest, copy.base.at, form, patch=patch, diff=copy.diff)


def compose(reading: Reading, anchor: bytes, stands: Sequence[Stand]) -> tuple[str, list[Used]]:
    """The text with its references, and those that were worth their characters."""
    pieces: list[str] = []
    used: list[Used] = []
    at = length = 0
    for stand in stands:
        start, end = reading.starts[stand.first], reading.end_of(stand.end - 1)
        shift = sum(before.stand.lines_fewer for before in used if before.stand.end <= stand.at) if stand.own else 0
        written = stand.write(Place(anchor, length + start - at), shift)
        saved = end - start - len(written)
        if saved < LEAST_GAIN:
            continue
        pieces += [reading.text[at:start], written]
        length += start - at + len(written)
        at = end
        used.append(Used(stand, saved))
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
