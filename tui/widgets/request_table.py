"""The table of requests: a hundred thousand rows, of which only those on the screen are ever drawn."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from tui.request_log import RequestLog
from tui.request_row import RequestRow
from tui.widgets.line_table import LineTable
from tui.widgets.request_columns import COLUMNS, Column, fitting

SLICE_SECONDS: Final = 0.004
"""How long rows are looked at before a key may come in between; it passes through five tasks until it is drawn."""
FEW: Final = 200
"""Rows that are looked at between two looks at the clock."""
MOST_FRESH: Final = 1_000
"""New rows that are taken at once; where there are more, all are looked at in slices."""
MOST_DRAWN: Final = 500
"""Lines that are kept as they were drawn."""

Matches = Callable[[RequestRow], bool]


class RequestTable(LineTable):
    """Follows the newest row until its user goes up; `End` follows again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("end,G", "follow", "Follow", key_display="End"),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort back", show=False),
        Binding("r", "reverse", "Reverse", show=False),
    ]

    following: reactive[bool] = reactive(True, init=False)

    @dataclass
    class Opened(Message):
        """A request is to be looked at."""

        request_id: str

    @dataclass
    class Changed(Message):
        """How many are shown, or in which order, is another."""

        shown: int
        known: int
        """Of how many that were looked at: those that came since are in neither."""

    @dataclass
    class AtTheTop(Message):
        """Its user looks at the oldest rows that there are."""

    def __init__(self, log: RequestLog, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._log = log
        self._matches: Matches | None = None
        self._sort: Column | None = None
        self._descending = False
        self._places: Sequence[int] = range(0)
        """Of the rows that are shown, in their order."""
        self._first = self._end = 0
        """Which places of the log were looked at."""
        self._shift = 0
        """How many rows came, or went, before those on the screen since they were drawn."""
        self._arranged: tuple[Matches | None, Column | None] = (None, None)
        """What the places were chosen and put in order by."""
        self._generation = -1
        self._arranging = 0
        """How many look at every row: more than one while the last one takes over."""
        self._cursor: str | None = None
        self._columns: list[Column] = []
        self._drawn: dict[str, tuple[RequestRow, bool, Strip]] = {}
        """Lines by request, each with its row and whether the cursor was on it: a row that is the same is not written
        anew."""
        self._picture: list[RequestRow] = []
        """The rows on the screen when they were drawn last."""

    # --- what is shown

    @property
    def rows(self) -> list[RequestRow]:
        """In the order of the screen, without those that were let go since the last look."""
        first = self._log.first
        return [self._log.at(place) for place in self._places if place >= first]

    @property
    def count(self) -> int:
        return len(self._places)

    @property
    def sorted_by(self) -> str:
        if self._sort is None:
            return "time"
        return f"{self._sort.name.strip().lower() or 'state'} {'down' if self._descending else 'up'}"

    @property
    def cursor_id(self) -> str | None:
        """The request under the cursor; the newest while following."""
        if self.following and self._places:
            return self._row(-1).id
        return self._cursor

    @property
    def under_cursor(self) -> RequestRow | None:
        place = self._log.place(wanted) if (wanted := self.cursor_id) is not None else None
        return None if place is None else self._log.now(place)

    def narrow(self, matches: Matches | None) -> None:
        """Show only what matches; everything for None."""
        self._matches = matches
        self.put_in_order()

    def update_rows(self) -> None:
        """The log has changed. A few rows are taken at once, many in slices. While all are looked at anew none is
        taken, so that this comes to its end and misses nothing."""
        log = self._log
        if self._arranging:
            self.refresh()  # what runs ticks on
            return
        if log.generation != self._generation or log.end - self._end > MOST_FRESH:
            self.put_in_order()
            return
        if log.first < self._first:
            self._take_older(range(log.first, self._first))
        changed, fresh = log.changed(), range(self._end, log.end)
        self._let_go()
        if changed and not (self._matches is None and self._sort is None):
            self._recheck(changed)
        self._end = log.end
        self._take(fresh)
        self._show(only_changes=True)

    @work(exclusive=True, group="arrange")
    async def put_in_order(self) -> None:
        """Look at every row anew, in slices, so that no key has to wait."""
        self._arranging += 1
        try:
            await self._arrange()
        finally:
            self._arranging -= 1

    async def _arrange(self) -> None:
        log, matches, column = self._log, self._matches, self._sort
        while True:
            generation, first, end = log.generation, log.first, log.end
            log.changed()  # from now on
            places: Sequence[int] = range(first, end)
            if matches is not None:
                told = await self._told(places, matches, generation)
                places = [place for place, wanted in zip(places, told, strict=False) if wanted]
            if column is not None and log.generation == generation:
                places = await self._sorted(places, column, generation)
            if log.generation == generation:
                break
        before, self._arranged = self._arranged, (matches, column)
        if column is None and self._places and before == self._arranged:
            self._shift += bisect_left(places, self._places[0])  # older rows came before those on the screen
        self._generation, self._places, self._first, self._end = generation, places, first, end
        self._let_go()
        if column is not before[1] and column is not None and places:
            self._cursor = self._row(0).id
        self._show()
        if before != self._arranged and not self.following:
            self.scroll_to_cursor()

    async def _told(self, places: Sequence[int], of: Callable[[RequestRow], Any], generation: int) -> list[Any]:
        """What is to be said of each row, a slice at a time; short where the places are no longer true."""
        log, told, begun = self._log, list[Any](), time.monotonic()
        for start in range(0, len(places), FEW):
            told += [of(log.at(max(place, log.first))) for place in places[start : start + FEW]]
            if time.monotonic() - begun > SLICE_SECONDS:
                await asyncio.sleep(0)
                if log.generation != generation:
                    break
                begun = time.monotonic()
        return told

    async def _sorted(self, places: Sequence[int], column: Column, generation: int) -> Sequence[int]:
        """Each slice is put in order by itself: what is in order piece by piece is quickly put in order as a whole."""
        keys = await self._told(places, column.key, generation)
        pairs = list(zip(keys, places, strict=False))
        for start in range(0, len(pairs), MOST_FRESH):
            part = sorted(pairs[start : start + MOST_FRESH], key=itemgetter(0), reverse=self._descending)
            pairs[start : start + MOST_FRESH] = part
            await asyncio.sleep(0)
        pairs.sort(key=itemgetter(0), reverse=self._descending)
        return [place for _, place in pairs]

    def _let_go(self) -> None:
        """Of places whose rows are gone."""
        gone = self._log.first
        if gone > self._first:
            self._first = gone
            before = len(self._places)
            self._places = [place for place in self._places if place >= gone]
            if self._sort is None:
                self._shift -= before - len(self._places)

    def _take(self, fresh: range) -> None:
        log, column, matches = self._log, self._sort, self._matches
        if matches is None and column is None:
            self._places = range(log.first, log.end)
            return
        fresh = range(max(fresh.start, log.first), fresh.stop)
        self._insert([place for place in fresh if matches is None or matches(log.at(place))])

    def _take_older(self, older: range) -> None:
        """A page of the ledger that came before the first row."""
        self._first = older.start
        log, matches = self._log, self._matches
        wanted = [place for place in older if matches is None or matches(log.at(place))]
        if self._sort is not None:
            self._insert(wanted)
        else:
            self._places = [*wanted, *self._places]
            self._shift += len(wanted)

    def _insert(self, wanted: Sequence[int]) -> None:
        if not wanted:
            return
        log, column = self._log, self._sort
        places = self._places if isinstance(self._places, list) else list(self._places)
        if column is None:
            for place in wanted:
                insort(places, place)
        else:
            if self._descending:
                places.reverse()
            for place in wanted:
                insort(places, place, key=lambda at: column.key(log.at(at)))
            if self._descending:
                places.reverse()
        self._places = places

    def _recheck(self, changed: set[int]) -> None:
        """Rows that match now and did not before (a status that came at the end), or the other way round; and those
        that belong elsewhere now."""
        log, matches = self._log, self._matches
        changed = {place for place in changed if log.first <= place < self._end}
        now = changed if matches is None else {place for place in changed if matches(log.at(place))}
        if self._sort is None:
            come = {place for place in now if not self._has(place)}
            gone = {place for place in changed - now if self._has(place)}
        else:
            come, gone = now, changed
        if gone:
            self._places = [place for place in self._places if place not in gone]
        self._insert(sorted(come))

    def _has(self, place: int) -> bool:
        at = bisect_left(self._places, place)
        return at < len(self._places) and self._places[at] == place

    def _show(self, *, only_changes: bool = False) -> None:
        """With `only_changes` nothing is drawn where the rows on the screen are as they were."""
        self.measure()
        shift, self._shift = self._shift, 0
        if self.following:
            self.scroll_end(animate=False, immediate=True)
        elif shift:
            self.scroll_to(y=max(0, self.scroll_offset.y + shift), animate=False, immediate=True)
        picture = self._on_screen()
        if not only_changes or picture != self._picture or any(row.running for row in picture):
            self.refresh()
        self._picture = picture
        self.post_message(self.Changed(len(self._places), self._end - self._first))

    def _on_screen(self) -> list[RequestRow]:
        top = self.scroll_offset.y
        return [self._row(index) for index in range(top, min(len(self._places), top + max(0, self.size.height - 1)))]

    def _row(self, index: int) -> RequestRow:
        """The oldest for one that was let go since the last look."""
        return self._log.at(max(self._places[index], self._log.first))

    # --- drawing

    def laid_out(self) -> None:
        self._show()

    def fit_columns(self, width: int) -> None:
        fitted = fitting(width - 1)
        self._columns = [column for column, _ in fitted]
        self.headings = [(column.name, size, column.right) for column, size in fitted]
        self._mark()

    def forget(self) -> None:
        self._drawn.clear()

    def strip(self, index: int) -> Strip:
        row = self._row(index)
        under = row.id == self.cursor_id
        if (drawn := self._drawn.get(row.id)) is not None and drawn[0] is row and drawn[1] == under:
            return drawn[2]
        if row.running:
            now = row.lasting(max(0.0, self._log.age(row.time) * 1000))
            return self.write([column.cell(now) for column in self._columns], under=under, bold=True)
        strip = self.write([column.cell(row) for column in self._columns], under=under)
        if len(self._drawn) >= MOST_DRAWN:
            self._drawn.clear()
        self._drawn[row.id] = row, under, strip
        return strip

    def _mark(self) -> None:
        """The column that it is sorted by."""
        mark = "▼" if self._descending else "▲"
        self.headings = [
            (column.name.strip() + (mark if column is self._sort else ""), size, right)
            for column, (_, size, right) in zip(self._columns, self.headings, strict=True)
        ]

    # --- keys and mouse

    @property
    def cursor(self) -> int:
        """Among the rows that are shown; the last where it is none of them."""
        wanted = self.cursor_id
        place = self._log.place(wanted) if wanted is not None else None
        if place is None or not self._places:
            return len(self._places) - 1
        if self._sort is None:
            return bisect_left(self._places, place) if self._has(place) else len(self._places) - 1
        try:
            return self._places.index(place)
        except ValueError:
            return len(self._places) - 1

    @property
    def rests(self) -> bool:
        return not self.following

    def move_to(self, index: int) -> None:
        if not self._places:
            return
        before = self.cursor
        index = max(0, min(len(self._places) - 1, index))
        self._cursor = self._row(index).id
        self.following = False
        self.show_cursor(before)
        self.post_message(self.Changed(len(self._places), self._end - self._first))
        if index <= self.size.height and self._sort is None:
            self.post_message(self.AtTheTop())

    def action_move(self, step: int) -> None:
        at = self.cursor
        if step > 0 and at == len(self._places) - 1 and self._sort is None:
            self.action_follow()
        else:
            self.move_to(at + step)

    def action_follow(self) -> None:
        self.following = True
        self._show()

    def action_open(self) -> None:
        if (request_id := self.cursor_id) is not None:
            self.post_message(self.Opened(request_id))

    def action_sort(self, step: int) -> None:
        """By the next column; behind the last one by time of arrival again."""
        order = [None, *self._columns]
        self._sort_by(order[(order.index(self._sort) + step) % len(order)] if self._sort in order else None)

    def action_reverse(self) -> None:
        self._descending = not self._descending
        self._sort_by(self._sort or COLUMNS[1], keep=True)

    def click_heading(self, column: int) -> None:
        if self._columns[column] is self._sort:
            self.action_reverse()
        else:
            self._sort_by(self._columns[column])

    def _sort_by(self, column: Column | None, *, keep: bool = False) -> None:
        if not keep:
            self._descending = column is not None and column.right  # the largest first
        self._sort = column
        self.following = column is None
        self._mark()
        self.put_in_order()
