"""The requests that the dashboard knows, oldest first, and what changed in them. No screen, no network."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from tui.request_row import RequestRow, row_from_wire

MOST_ROWS: Final = 100_000
SLACK: Final = 1_000
"""How many rows too many may come together before the oldest are let go at once."""
REFUSALS: Final = 200


class RequestLog:
    """Each row has a place, a whole number that it keeps: `first` is the oldest row's, and the newest stands before
    `end`. Only rows that come late and belong between others move the rest: then `generation` is another."""

    def __init__(self, *, most: int = MOST_ROWS, slack: int = SLACK) -> None:
        self._most = most
        self._slack = slack
        self.rows: list[RequestRow] = []
        self.first = 0
        self.refused: list[Mapping[str, Any]] = []
        """Requests that never became one, the newest last."""
        self.generation = 0
        """Changes when places of rows do."""
        self.version = 0
        """Changes with everything."""
        self.ahead = 0.0
        """Seconds by which the sidecar's clock is ahead of ours."""
        self._places: dict[str, int] = {}
        self._changed: set[int] = set()
        self._running: set[str] = set()
        self._unseen: set[str] = set()
        """Those whose end was not seen: the ledger may know it."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[RequestRow]:
        return iter(self.rows)

    @property
    def end(self) -> int:
        """The place that the next row gets."""
        return self.first + len(self.rows)

    @property
    def full(self) -> bool:
        """Whether older rows would have no room."""
        return len(self.rows) >= self._most

    def at(self, place: int) -> RequestRow:
        return self.rows[place - self.first]

    def get(self, request_id: str) -> RequestRow | None:
        place = self._places.get(request_id)
        return None if place is None else self.at(place)

    def place(self, request_id: str) -> int | None:
        return self._places.get(request_id)

    @property
    def running(self) -> int:
        """How many requests have not ended yet."""
        return len(self._running)

    def now(self, place: int) -> RequestRow:
        """The row, and how long it has taken up to this moment where it has not ended."""
        row = self.at(place)
        return row.lasting(max(0.0, self.age(row.time) * 1000)) if row.running else row

    def age(self, moment: float) -> float:
        """Seconds since then, by the sidecar's clock."""
        return time.time() + self.ahead - moment

    def hello(self, hello: Mapping[str, Any]) -> None:
        """What a sidecar remembers when a connection begins: what is known already is only brought up to date. What
        ran, and is no longer known there, ended unseen."""
        self.ahead = hello["time"] - time.time()
        for wire in hello["rows"]:
            self.put(row_from_wire(wire))
        self.run({wire["id"] for wire in hello["rows"] if wire["state"] == "running"})
        self.version += 1

    def run(self, running: Collection[str]) -> int:
        """The sidecar says that these run: of how many others the end was not seen. No ledger has a count of tokens,
        so that nothing else would ever end it here."""
        unseen = self._running.difference(running)
        for request_id in unseen:
            self.put(self.at(self._places[request_id]).unseen())
        self._unseen |= unseen
        self.version += bool(unseen)
        return len(unseen)

    def history(self, wires: Sequence[Mapping[str, Any]]) -> int:
        """Requests from the ledger, in any order: they go to their place by time; how many of them were new. Those
        that were thought to run have ended, and so have those whose end was not seen."""
        for wire in wires:
            if wire["id"] in self._running or wire["id"] in self._unseen:
                self.put(row_from_wire(wire))
        found = {wire["id"]: wire for wire in wires if wire["id"] not in self._places}
        fresh = sorted(map(row_from_wire, found.values()), key=lambda row: row.time)
        before = len(self.rows)
        if fresh and (not self.rows or fresh[-1].time <= self.rows[0].time):
            self.rows[:0] = fresh[max(0, len(fresh) - max(0, self._most - before)) :]
            self.first -= len(self.rows) - before
            self._places.update(
                (row.id, self.first + at) for at, row in enumerate(self.rows[: len(self.rows) - before])
            )
        elif fresh:
            rows = sorted([*self.rows, *fresh], key=lambda row: row.time)
            self.first += max(0, len(rows) - self._most)  # `end` never goes back: who knows a place finds a row there
            self.rows = rows[-self._most :]
            self._index()
        self.version += 1
        return len(self.rows) - before

    def batch(self, batch: Mapping[str, Any]) -> None:
        """Take one batch of the live feed."""
        self.ahead = batch["time"] - time.time()
        for wire in batch.get("begun") or ():
            if wire["id"] not in self._places:
                self.put(row_from_wire(wire))
        for tick in batch.get("ticks") or ():
            place = self._places.get(tick["id"])
            if place is not None and (row := self.at(place)).running:
                self.rows[place - self.first] = row.ticked(tick)
                self._changed.add(place)
        for wire in batch.get("ended") or ():
            self.put(row_from_wire(wire))
        self.refused = [*self.refused, *(batch.get("refused") or ())][-REFUSALS:]
        self.version += 1

    def changed(self) -> set[int]:
        """Places of rows that changed since this was asked last, new ones left out."""
        changed, self._changed = self._changed, set()
        return changed

    def put(self, row: RequestRow) -> None:
        """A new row, or what is known of it now."""
        (self._running.add if row.running else self._running.discard)(row.id)
        self._unseen.discard(row.id)
        place = self._places.get(row.id)
        if place is not None:
            self.rows[place - self.first] = row
            self._changed.add(place)
            return
        self._places[row.id] = self.end
        self.rows.append(row)
        if len(self.rows) > self._most + self._slack:
            self._let_go(len(self.rows) - self._most)

    def _let_go(self, count: int) -> None:
        """Of the oldest."""
        for row in self.rows[:count]:
            del self._places[row.id]
            self._running.discard(row.id)
            self._unseen.discard(row.id)
        del self.rows[:count]
        self.first += count

    def _index(self) -> None:
        self._places = {row.id: place for place, row in enumerate(self.rows, start=self.first)}
        self._running &= self._places.keys()
        self._unseen &= self._places.keys()
        self._changed.clear()
        self.generation += 1
