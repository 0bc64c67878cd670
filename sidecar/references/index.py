"""Where lines already stand: an index of three lines in a row, over all that a conversation sent.

It grows with what is sent and is never built anew. Looking a text up costs a few dictionary look-ups a line, whatever
the history, and what is compared is bounded: three lines that say nothing (braces, blanks) lead nowhere, three lines
that stand everywhere lead to their first few places only, and no diagonal is compared twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sidecar.references.marker import PREFIX, references_in
from sidecar.references.reading import Reading
from sidecar.references.sources import Origin, Source, Sources

GRAM: Final = 3
"""Lines in a row that lead to a place."""
PLACES_A_GRAM: Final = 8
TELLING: Final = 4
"""Characters, blanks not counted, from which a line says something."""
COMPARISON: Final = 64
"""Bytes of the work budget that comparing a line with another costs."""


class Run(NamedTuple):
    """Lines `first` to `end` (not included) of a text, which stand somewhere else as well."""

    first: int
    end: int
    at: int
    """The first of them there, from 0."""
    lines: LineIndex | None
    """Where `there` is; None in the same text, further up."""
    number: int = 0
    """Of the source in the index."""

    @property
    def source(self) -> Source | None:
        return None if self.lines is None else self.lines.sources[self.number]


class LineIndex:
    """The lines of all texts that were added, in order."""

    def __init__(self) -> None:
        self.characters = 0
        self.sources = Sources()
        self._keys: list[str | None] = []
        """All lines; None ends a source, and stands for what must not be referred to."""
        self._starts: list[int] = []
        """Where each source begins."""
        self._grams: dict[int, int | list[int]] = {}

    def add(self, text: str, origin: Origin, reading: Reading | None = None) -> None:
        """Take in a text as it was sent."""
        reading = self.sources.add(text, origin, reading).reading
        start = len(self._keys)
        self._starts.append(start)
        self.characters += len(text)
        keys: list[str | None] = [*reading.keys]
        if PREFIX in text:
            _hide_markers(keys, text, reading)
        self._keys += keys
        self._keys.append(None)
        grams = self._grams
        for index, gram in _grams(keys, 0, len(keys)):
            known = grams.get(gram)
            if known is None:
                grams[gram] = start + index
            elif isinstance(known, int):
                grams[gram] = [known, start + index]
            elif len(known) < PLACES_A_GRAM:
                known.append(start + index)

    def places(self, gram: int) -> Iterable[int]:
        found = self._grams.get(gram)
        return () if found is None else (found,) if isinstance(found, int) else found

    def run(self, first: int, end: int, place: int) -> Run:
        """The run whose first line stands at this place of the index."""
        number = bisect_right(self._starts, place) - 1
        return Run(first, end, place - self._starts[number], self, number)

    @property
    def keys(self) -> Sequence[str | None]:
        return self._keys

    def stretch(self, number: int, first: int, count: int) -> Sequence[str | None]:
        """`count` lines of the source with this number; None for each that must not be referred to."""
        start = self._starts[number] + first
        return self._keys[start : start + count]


class Overspent(Exception):  # noqa: N818 - it is a decision of the budget, not a mistake
    """A text would take more work than its request has left."""


class Budget:
    """Work that one request may cost, in bytes looked at: the same on every machine."""

    def __init__(self, size: int) -> None:
        self.left = size

    def spend(self, size: int) -> None:
        """Raises Overspent where there is not enough left."""
        self.left -= size
        if self.left < 0:
            raise Overspent


class Finder:
    """Finds the runs of one text: in the indexes, and further up in the text itself.

    Lines are given to it from the top, part by part; what was found to be a run is nothing to refer to.
    """

    def __init__(self, keys: Sequence[str], indexes: Sequence[LineIndex], budget: Budget) -> None:
        self._keys = keys
        self._indexes = indexes
        self._budget = budget
        self._passed: list[str | None] = [None] * len(keys)
        """The text's own lines so far, without those that became references."""
        self._own: dict[int, list[int]] = {}
        self._followed: dict[tuple[int, int], int] = {}
        """For each index (-1 for the text itself) and diagonal, the line up to which it was followed."""

    def runs(self, first: int, end: int, admits: Callable[[int, int], bool]) -> Iterator[Run]:
        """The longest run at each line from `first` to `end` (not included), left to right, without overlap. `admits`
        says from first and end line whether a run is long enough."""
        low = done = first
        for index, gram in _grams(self._keys, first, end):
            if index < done:
                continue
            self._passed[done:index] = self._keys[done:index]
            done = index
            best = self._longest(gram, index, low, end)
            if best is not None and admits(best.first, best.end):
                yield best
                self._passed[best.first : index] = [None] * (index - best.first)
                low = done = best.end
            elif len(own := self._own.setdefault(gram, [])) < PLACES_A_GRAM:
                own.append(index)
        self._passed[done:end] = self._keys[done:end]

    def _longest(self, gram: int, index: int, low: int, high: int) -> Run | None:
        best: Run | None = None
        for number, lines in enumerate(self._indexes):
            for place in lines.places(gram):
                found = self._follow(number, lines.keys, place - index, index, low, high)
                if found is not None and (best is None or found[1] - found[0] > best.end - best.first):
                    best = lines.run(*found, found[0] + place - index)
        for place in self._own.get(gram, ()):
            found = self._follow(-1, self._passed, place - index, index, low, high)
            if found is None:
                continue
            # The lines that are left must not be among those that go.
            begin = max(found[0], found[1] + place - index)
            if best is None or found[1] - begin > best.end - best.first:
                best = Run(begin, found[1], begin + place - index, None)
        return best

    def _follow(
        self, number: int, keys: Sequence[str | None], diagonal: int, index: int, low: int, high: int
    ) -> tuple[int, int] | None:
        """How far lines are the same around `index`, between `low` and `high`; None where that was seen before."""
        if self._followed.get((number, diagonal), -1) > index:
            return None
        mine = self._keys
        begin, stop = index, index
        while stop < high and keys[stop + diagonal] == mine[stop]:
            stop += 1
        while begin > low and begin + diagonal > 0 and keys[begin + diagonal - 1] == mine[begin - 1]:
            begin -= 1
        self._followed[number, diagonal] = stop
        self._budget.spend((stop - begin + 2) * COMPARISON)
        return begin, stop


def _grams(keys: Sequence[str | None], first: int, end: int) -> Iterator[tuple[int, int]]:
    """Every three lines in a row of which one says something, by their hash."""
    telling = -1
    """The last line that says something."""
    hidden = first - 1
    """The last line that must not be referred to."""
    for index in range(first, min(end, first + GRAM - 1)):
        if (key := keys[index]) is None:
            hidden = index
        elif len(key.strip()) >= TELLING:
            telling = index
    for index in range(first, end - GRAM + 1):
        if (key := keys[index + GRAM - 1]) is None:
            hidden = index + GRAM - 1
        elif len(key.strip()) >= TELLING:
            telling = index + GRAM - 1
        if telling >= index > hidden:
            yield index, hash((keys[index], keys[index + 1], key))


def _hide_markers(keys: list[str | None], text: str, reading: Reading) -> None:
    """Nothing refers to a marker, nor to the diff behind one: what stands for lines is not lines."""
    for index, key in enumerate(keys):
        if key is not None and PREFIX in key:
            keys[index] = None
    for reference in references_in(text):
        first = bisect_right(reading.starts, reference.start) - 1
        last = bisect_right(reading.starts, reference.end - 1) - 1
        keys[first : last + 1] = [None] * (last + 1 - first)
