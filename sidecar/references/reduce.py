"""Replaces lines that already stand in a request by references to them; `expand` is the way back.

Every text that comes out was expanded again and compared. Where that does not give the same characters, or where the
work is more than the request may cost, the text stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sidecar.references.budget import Budget, Overspent
from sidecar.references.expand import expand_text
from sidecar.references.index import Finder, LineIndex, Run, stand_anywhere
from sidecar.references.marker import PREFIX, seal
from sidecar.references.near_copies import near_copy
from sidecar.references.reading import Reading, holds_lines
from sidecar.references.slots import Kind, Slot
from sidecar.references.sources import Source
from sidecar.references.writing import Stand, Used, compose, difference, reference
from sidecar.references.zones import Zone, zones_of

MOST_REFERENCES: Final = 3
"""That a text may need; with more, a diff against one earlier copy is tried."""
A_LINE: Final = 32
AN_ESCAPED_LINE: Final = 64
A_MARKER: Final = 500
"""Bytes of work that these cost besides their characters."""
SHORTEST: Final = 80
"""Characters of a text below which nothing in it could pay."""


@dataclass(frozen=True, slots=True)
class Grain:
    """How long a run of lines must be to become a reference: by lines or by characters."""

    lines: int = 15
    characters: int = 800

    def admits(self, lines: int, characters: int) -> bool:
        return lines >= self.lines or characters >= self.characters

    @classmethod
    def of_characters(cls, characters: int) -> Grain:
        """By characters alone."""
        return cls(lines=10**9, characters=characters)


DEFAULT_GRAIN: Final = Grain()
ENVIRONMENT_GRAIN: Final = Grain.of_characters(80)
"""For `environment_details`: rows of file names that nobody reads twice."""


class Taken(NamedTuple):
    """A text on its way through."""

    slot: Slot
    text: str
    """As it is to be sent."""
    reading: Reading | None
    """Of the slot's own text; None where it was not read."""
    used: Sequence[Used] = ()


class Reducer:
    """Reduces the texts of one request in order; a later one may refer to an earlier one.

    `frozen` holds what went upstream before and stays as it is.
    """

    def __init__(self, frozen: LineIndex, grain: Grain, budget: Budget) -> None:
        self._frozen = frozen
        self._live = LineIndex()
        self.sources: list[Source] = []
        """All texts that may be referred to, as they are to be sent."""
        self._waiting: list[Source] = []
        """Those that are not in the index yet."""
        self._grain = grain
        self._budget = budget
        self.references = 0
        """Written so far, diffs included."""
        self.diffs = 0
        self.passed_over = 0
        """Texts that stayed as they are because the work was spent."""

    def taken_in(self) -> LineIndex | None:
        """All that was taken, as it is to be sent: the same index that building it anew would give. None where some of
        it was too much work."""
        if self.passed_over:
            return None
        self._index_waiting()
        return self._live

    def take(self, slot: Slot) -> Taken:
        """The slot's text as it is to be sent; later ones may refer to it."""
        if not holds_lines(slot.text) and PREFIX not in slot.text:
            return Taken(slot, slot.text, None)
        try:
            self._budget.spend(_work_of(slot.text))
        except Overspent:
            self.passed_over += 1
            taken = Taken(slot, self._as_written(slot), None)
            self._know(taken)
            return taken
        reading = Reading(slot.text)
        reduced = None
        if slot.kind is not Kind.SOURCE:
            self._index_waiting()
            reduced = self._reduced(slot, reading)
        taken = reduced or Taken(slot, self._as_written(slot), reading)
        if (source := self._know(taken)) is not None:
            self._waiting.append(source)
        return taken

    def _know(self, taken: Taken) -> Source | None:
        unchanged = taken.reading if taken.text is taken.slot.text else None
        source = self._live.know(taken.text, taken.slot.origin, unchanged)
        if source is not None:
            self.sources.append(source)
        return source

    def _index_waiting(self) -> None:
        """Only where a text comes that might refer to them: nothing follows the last one of a request."""
        for source in self._waiting:
            self._live.index(source)
        self._waiting.clear()

    def _as_written(self, slot: Slot) -> str:
        """The text itself, unless it would be taken for something else."""
        if slot.kind is Kind.SOURCE or PREFIX not in slot.text or self._expands(slot.text, slot):
            return slot.text
        return seal(slot.text, slot.anchor)

    def _expands(self, text: str, slot: Slot) -> bool:
        """Whether the text stands for the slot's own."""
        return expand_text(text, slot.anchor, (self._frozen.sources, self._live.sources)) == slot.text

    def _reduced(self, slot: Slot, reading: Reading) -> Taken | None:
        if len(slot.text) < SHORTEST:
            return None
        try:
            if not stand_anywhere(reading.grams, (self._frozen, self._live)):
                return None
            finder = self._finder(reading)
            zones = zones_of(slot, reading)
            stands = [reference(reading, zone, run) for zone in zones for run in self._runs(reading, zone, finder)]
        except Overspent:
            self.passed_over += 1
            return None
        text, used = compose(reading, slot.anchor, stands)
        patched = self._patched(reading, slot.anchor, zones, stands)
        if patched is not None and len(patched[0]) < len(text):
            text, used = patched
        if not used or not self._expands(text, slot):
            return None
        self.references += len(used)
        self.diffs += sum(one.stand.patch is not None for one in used)
        return Taken(slot, text, reading, used)

    def _finder(self, reading: Reading) -> Finder:
        return Finder(reading, (self._frozen, self._live), self._budget)

    def _runs(self, reading: Reading, zone: Zone, finder: Finder) -> list[Run]:
        grain = ENVIRONMENT_GRAIN if zone.environment else self._grain

        def admits(first: int, end: int) -> bool:
            return grain.admits(end - first, reading.end_of(end - 1) - reading.starts[first])

        return [*finder.runs(zone.first, zone.end, admits)]

    def _patched(
        self, reading: Reading, anchor: bytes, zones: Sequence[Zone], stands: Sequence[Stand]
    ) -> tuple[str, list[Used]] | None:
        """The text with a diff against one earlier copy, where it has more than a few runs, however short."""
        zone = max(zones, key=lambda one: (not one.environment, one.end - one.first), default=None)
        if zone is None or zone.environment or zone.form.escaped:
            return None
        try:
            runs = [*self._finder(reading).runs(zone.first, zone.end, lambda first, end: end > first)]
            copy = near_copy(reading.keys, runs, self._budget) if len(runs) > MOST_REFERENCES else None
        except Overspent:
            return None
        if copy is None or copy.base.source is None:
            return None
        # A reference further up must not lead into what the diff takes away.
        outside = [stand for stand in stands if stand.end <= copy.first or stand.first >= copy.end]
        around = [stand for stand in outside if not stand.own]
        everything = sorted([*around, difference(zone, copy, copy.base.source)], key=lambda stand: stand.first)
        return compose(reading, anchor, everything)


def _work_of(text: str) -> int:
    """Bytes that reading a text counts for: its lines cost as much as its characters do."""
    lines = text.count("\n") * A_LINE + text.count("\\n") * AN_ESCAPED_LINE
    return len(text) + lines + text.count(PREFIX) * A_MARKER
