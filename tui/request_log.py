"""The requests that the dashboard knows, oldest first, and what changed in them. No screen, no network."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tui.request_row import RequestRow, row_from_wire

MOST_ROWS: Final = 20_000
SLACK: Final = 1_000
"""How many rows too many may come together before the oldest are let go at once."""
REFUSALS: Final = 200
UNSEEN: Final = "its end was not seen: the sidecar was gone"


class RequestLog:
    """`rows` only grows at its end, but for the oldest, which go in one piece: then `generation` is another."""

    def __init__(self, *, most: int = MOST_ROWS, slack: int = SLACK) -> None:
        self._most = most
        self._slack = slack
        self.rows: list[RequestRow] = []
        self.refused: list[Mapping[str, Any]] = []
        """Requests that never became one, the newest last."""
        self.generation = 0
        """Changes when positions of rows do."""
        self.version = 0
        """Changes with everything."""
        self.ahead = 0.0
        """Seconds by which the sidecar's clock is ahead of ours."""
        self.seen = 0
        """How many requests there were in all, those that were let go too."""
        self._places: dict[str, int] = {}
        self._changed: set[int] = set()
        self._running: set[str] = set()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[RequestRow]:
        return iter(self.rows)

    def get(self, request_id: str) -> RequestRow | None:
        place = self._places.get(request_id)
        return None if place is None else self.rows[place]

    def place(self, request_id: str) -> int | None:
        return self._places.get(request_id)

    @property
    def running(self) -> int:
        """How many requests have not ended yet."""
        return len(self._running)

    def now(self, place: int) -> RequestRow:
        """The row, and how long it has taken up to this moment where it has not ended."""
        row = self.rows[place]
        if not row.running:
            return row
        return replace(row, duration_ms=max(0.0, self.age(row.time) * 1000))

    def age(self, moment: float) -> float:
        """Seconds since then, by the sidecar's clock."""
        return time.time() + self.ahead - moment

    def hello(self, hello: Mapping[str, Any]) -> None:
        """What a sidecar remembers when a connection begins: what is known already is only brought up to date. What
        ran, and is no longer known there, ended unseen."""
        self.ahead = hello["time"] - time.time()
        unseen = self._running - {wire["id"] for wire in hello["rows"]}
        for wire in hello["rows"]:
            self.put(row_from_wire(wire))
        for request_id in unseen:
            self.put(replace(self.rows[self._places[request_id]], state="failed", error=UNSEEN))
        self.version += 1

    def history(self, wires: Sequence[Mapping[str, Any]]) -> None:
        """Older requests, from the ledger, in any order: they go to their place by time. Those that were thought to run
        have ended."""
        for wire in wires:
            if wire["id"] in self._running:
                self.put(row_from_wire(wire))
        fresh = {wire["id"]: row_from_wire(wire) for wire in wires if wire["id"] not in self._places}
        if fresh:
            self.seen += len(fresh)
            self.rows = sorted([*self.rows, *fresh.values()], key=lambda row: row.time)[-self._most :]
            self._index()

    def batch(self, batch: Mapping[str, Any]) -> None:
        """Take one batch of the live feed."""
        self.ahead = batch["time"] - time.time()
        for wire in batch.get("begun", ()):
            if wire["id"] not in self._places:
                self.put(row_from_wire(wire))
        for tick in batch.get("ticks", ()):
            place = self._places.get(tick["id"])
            if place is not None and self.rows[place].running:
                self.rows[place] = self.rows[place].ticked(tick)
                self._changed.add(place)
        for wire in batch.get("ended", ()):
            self.put(row_from_wire(wire))
        self.refused = [*self.refused, *batch.get("refused", ())][-REFUSALS:]
        self.version += 1

    def changed(self) -> set[int]:
        """Places of rows that changed since this was asked last, new ones left out."""
        changed, self._changed = self._changed, set()
        return changed

    def put(self, row: RequestRow) -> None:
        """A new row, or what is known of it now."""
        (self._running.add if row.running else self._running.discard)(row.id)
        place = self._places.get(row.id)
        if place is not None:
            self.rows[place] = row
            self._changed.add(place)
            return
        self._places[row.id] = len(self.rows)
        self.rows.append(row)
        self.seen += 1
        if len(self.rows) > self._most + self._slack:
            del self.rows[: len(self.rows) - self._most]
            self._index()

    def _index(self) -> None:
        self._places = {row.id: place for place, row in enumerate(self.rows)}
        self._running &= self._places.keys()
        self._changed.clear()
        self.generation += 1
        self.version += 1
