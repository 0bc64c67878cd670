"""Where lines already stand: an index of three lines in a row, over all that a conversation sent.

It grows with what is sent and is never built anew. Looking a text up costs a few dictionary look-ups a line, whatever
the history, and what is compared is bounded: three lines that say nothing (braces, blanks) lead nowhere, three lines
that stand everywhere lead to their first few places only, and no diagonal is compared twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sidecar.references.budget import COMPARISON, Budget
from sidecar.references.marker import references_in
from sidecar.references.reading import GRAM, Reading
from sidecar.references.sources import Origin, Source, Sources

PLACES_A_GRAM: Final = 8
ANY_MARKER: Final = "[cgw"
"""What the markers of all layers begin with."""


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
        return None if self.lines is None else self.lines.indexed(self.number)


class LineIndex:
    """The lines of all texts that were added, in order."""

    def __init__(self) -> None:
        self.characters = 0
        self.sources = Sources()
        """All that are known, for `expand`."""
        self._keys: list[str | None] = []
        """All lines; None ends a source, and stands for what must not be referred to."""
        self._indexed: list[Source] = []
        self._starts: list[int] = []
        """Where each indexed source begins."""
        self.grams: dict[int, int | list[int]] = {}
        """Where each three lines in a row stand."""

    def add(self, text: str, origin: Origin, reading: Reading | None = None) -> None:
        """Take in a text as it was sent."""
        if (source := self.know(text, origin, reading)) is not None:
            self.index(source)

    def know(self, text: str, origin: Origin, reading: Reading | None = None) -> Source | None:
        """Take in a text by its name alone; `index` does the rest, once it is needed. None for a text that nothing
        refers to."""
        if (source := self.sources.add(text, origin, reading)) is not None:
            self.characters += len(text)
        return source

    def take_over(self, source: Source) -> None:
        """Take in a text that another index knows."""
        self.characters += len(source.text)
        self.sources.keep(source)
        self.index(source)

    def index(self, source: Source) -> None:
        """Let the lines of a text that is known be found."""
        text, reading = source.text, source.reading
        start = len(self._keys)
        self._starts.append(start)
        self._indexed.append(source)
        keys: list[str | None] = [*reading.keys]
        hidden: set[int] = set()
        if ANY_MARKER in text:
            hidden = _marker_lines(text, reading)
            for line in hidden:
                keys[line] = None
        self._keys += keys
        self._keys.append(None)
        grams = self.grams
        for place, gram in enumerate(reading.grams, start):
            if not gram or (hidden and not hidden.isdisjoint(range(place - start, place - start + GRAM))):
                continue
            known = grams.get(gram)
            if known is None:
                grams[gram] = place
            elif isinstance(known, int):
                grams[gram] = [known, place]
            elif len(known) < PLACES_A_GRAM:
                known.append(place)

    def places(self, gram: int) -> Iterable[int]:
        found = self.grams.get(gram)
        return () if found is None else (found,) if isinstance(found, int) else found

    def run(self, first: int, end: int, place: int) -> Run:
        """The run whose first line stands at this place of the index."""
        number = bisect_right(self._starts, place) - 1
        return Run(first, end, place - self._starts[number], self, number)

    @property
    def keys(self) -> Sequence[str | None]:
        return self._keys

    def indexed(self, number: int) -> Source:
        return self._indexed[number]

    def stretch(self, number: int, first: int, count: int) -> Sequence[str | None]:
        """`count` lines of the source with this number; None for each that must not be referred to."""
        start = self._starts[number] + first
        return self._keys[start : start + count]


def stand_anywhere(grams: Sequence[int], indexes: Sequence[LineIndex]) -> bool:
    """Whether three lines in a row of a text stand in one of the indexes, or twice in the text itself: else there is
    nothing for a `Finder` to find."""
    for lines in indexes:
        if not lines.grams.keys().isdisjoint(grams):
            return True
    return bool(_repeated(grams))


class Finder:
    """Finds the runs of one text: in the indexes, and further up in the text itself.

    Lines are given to it from the top, part by part; what was found to be a run is nothing to refer to.
    """

    def __init__(self, reading: Reading, indexes: Sequence[LineIndex], budget: Budget) -> None:
        self._keys = reading.keys
        self._grams = reading.grams
        self._indexes = [(number, lines) for number, lines in enumerate(indexes) if lines.grams]
        self._budget = budget
        self._own = _repeated(self._grams)
        self._known = set(self._own)
        for _, lines in self._indexes:
            self._known |= lines.grams.keys() & set(self._grams)
        self._passed: list[str | None] = [None] * len(reading)
        """The text's own lines so far, without those that became references."""
        self._followed: dict[tuple[int, int], int] = {}
        """For each index (-1 for the text itself) and diagonal, the line up to which it was followed."""

    def runs(self, first: int, end: int, admits: Callable[[int, int], bool]) -> Iterator[Run]:
        """The longest run at each line from `first` to `end` (not included), left to right, without overlap. `admits`
        says from first and end line whether a run is long enough."""
        low = done = first
        for index in range(first, end - GRAM + 1) if self._known else ():
            if index < done or (gram := self._grams[index]) not in self._known:
                continue
            self._passed[done:index] = self._keys[done:index]
            done = index
            best = self._longest(gram, index, low, end)
            if best is not None and admits(best.first, best.end):
                yield best
                self._passed[best.first : index] = [None] * (index - best.first)
                low = done = best.end
        self._passed[done:end] = self._keys[done:end]

    def _longest(self, gram: int, index: int, low: int, high: int) -> Run | None:
        best: Run | None = None
        for number, lines in self._indexes:
            for place in lines.places(gram):
                found = self._follow(number, lines.keys, place - index, index, low, high)
                if found is not None and (best is None or found[1] - found[0] > best.end - best.first):
                    best = lines.run(*found, found[0] + place - index)
        for place in self._own.get(gram, ()):
            if place >= index:
                break
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


def _repeated(grams: Sequence[int]) -> dict[int, list[int]]:
    """The grams that a text has more than once, and where."""
    if len(set(grams)) >= len(grams) - max(0, grams.count(0) - 1):
        return {}
    places: dict[int, list[int]] = {}
    for index, gram in enumerate(grams):
        if gram and len(known := places.setdefault(gram, [])) < PLACES_A_GRAM:
            known.append(index)
    return {gram: known for gram, known in places.items() if len(known) > 1}


def _marker_lines(text: str, reading: Reading) -> set[int]:
    """Lines that nothing refers to: markers and the diffs behind them. What stands for lines is not lines."""
    hidden = {line for line, key in enumerate(reading.keys) if ANY_MARKER in key}
    for reference in references_in(text):
        first = bisect_right(reading.starts, reference.start) - 1
        last = bisect_right(reading.starts, reference.end - 1) - 1
        hidden.update(range(first, last + 1))
    return hidden
