"""The texts that lines can be referred to in, as they were sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from sidecar.references.marker import digest_of, name_of
from sidecar.references.reading import Reading, holds_lines


class Origin(NamedTuple):
    """Where a text came from, for the words of a reference."""

    called: str
    """`read_file result in message 7`."""
    path: str | None = None
    """The file it shows, where only the call or the line before it says so."""
    line: int = 1
    """The number, in that file, of the text's first line."""


class Source:
    """One text as it was sent."""

    def __init__(self, text: str, origin: Origin) -> None:
        self.text = text
        self.origin = origin
        self.digest = digest_of(text)
        self.name = name_of(self.digest)

    @cached_property
    def reading(self) -> Reading:
        return Reading(self.text)


class Sources:
    """Texts by the name that a marker gives them."""

    def __init__(self) -> None:
        self._named: defaultdict[str, list[Source]] = defaultdict(list)

    def add(self, text: str, origin: Origin, reading: Reading | None = None) -> Source | None:
        """None for a text that has not the lines to refer to: nothing is kept of it."""
        if not holds_lines(text):
            return None
        source = Source(text, origin)
        if reading is not None:
            source.reading = reading
        self.keep(source)
        return source

    def keep(self, source: Source) -> None:
        self._named[source.name].append(source)

    def named(self, name: str) -> Sequence[Source]:
        """All with this name: short names meet now and then."""
        return self._named.get(name, ())
