"""The files that a text shows, known by their content: for the counts of which file is sent how often."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, NamedTuple

from sidecar.references.labels import shown_files
from sidecar.references.marker import digest_of
from sidecar.references.reading import Reading
from sidecar.references.sources import Origin

FEWEST_LINES: Final = 5
"""Shorter ones are not worth counting."""


class ShownFile(NamedTuple):
    """A file, or a part of one, in a text: lines `first` to `end` (not included)."""

    path: str
    digest: bytes
    """Of the lines without numbers and carriage returns: the same however they were read."""
    first: int
    end: int


def files_in(reading: Reading, origin: Origin) -> Iterator[ShownFile]:
    """The files of one text, in order. A text of which only the call says which file it is shows one as a whole."""
    if len(reading) < FEWEST_LINES:
        return
    named = False
    end = 0
    for shown in shown_files(reading.text):
        if shown.start < end:  # what stands in a file is the file's, whatever it looks like
            continue
        closing = reading.text.find(shown.closing, shown.start)
        end = len(reading.text) if closing < 0 else closing
        file = _file(reading, shown.path, bisect_left(reading.starts, shown.start), bisect_left(reading.starts, end))
        if file is not None:
            named = True
            yield file
    if not named and origin.path is not None and (file := _file(reading, origin.path, 0, len(reading))) is not None:
        yield file


def _file(reading: Reading, path: str, first: int, end: int) -> ShownFile | None:
    while end > first and not reading.keys[end - 1]:
        end -= 1
    if end - first < FEWEST_LINES:
        return None
    return ShownFile(path, digest_of("\n".join(reading.keys[first:end])), first, end)
