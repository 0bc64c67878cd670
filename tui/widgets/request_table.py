"""The table of requests: a hundred thousand rows, of which only those on the screen are ever drawn."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.request_log import RequestLog
from tui.request_row import RequestRow
from tui.text import fit
from tui.widgets.request_columns import COLUMNS, Column, fitting

SLICE: Final = 4_000
"""Rows that are looked at before a key press may come in between."""
MOST_DRAWN: Final = 500
"""Lines that are kept as they were drawn."""

Matches = Callable[[RequestRow], bool]


class RequestTable(ScrollView, can_focus=True):
    """Follows the newest row until its user goes up; `End` follows again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "Oldest", show=False),
        Binding("end,G", "follow", "Follow", key_display="End"),
        Binding("enter", "open", "Open", key_display="⏎"),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort back", show=False),
        Binding("r", "reverse", "Reverse", show=False),
    ]
    DEFAULT_CSS = """
    RequestTable { height: 1fr; background: $background; overflow-x: hidden; overflow-y: scroll; }
    """

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

    def __init__(self, log: RequestLog, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._log = log
        self._matches: Matches | None = None
        self._sort: Column | None = None
        self._descending = False
        self._places: list[int] = []
        """Of the rows that are shown, in their order."""
        self._seen = 0
        """How many rows of the log were looked at."""
        self._generation = -1
        self._cursor: str | None = None
        self._columns: list[tuple[Column, int]] = []
        self._styles: dict[str, Style] = {}
        self._under = Style(bold=True)
        """Of the line under the cursor."""
        self._base: Style | None = None
        self._drawn: dict[str, tuple[RequestRow, bool, Strip]] = {}
        """Lines by request, each with its row and whether the cursor was on it: a row that is the same is not written
        anew."""
        self._picture: list[RequestRow] = []
        """The rows on the screen when they were drawn last."""

    # --- what is shown

    @property
    def rows(self) -> list[RequestRow]:
        """In the order of the screen."""
        return [self._log.rows[place] for place in self._places]

    @property
    def shown(self) -> int:
        """How many rows."""
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
            return self._log.rows[self._places[-1]].id
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
        """The log has changed. A few rows are taken at once, many in slices."""
        if self._log.generation != self._generation or len(self._log.rows) - self._seen > SLICE:
            self.put_in_order()
            return
        changed = self._log.changed()
        fresh = range(self._seen, len(self._log.rows))
        self._seen = len(self._log.rows)
        self._take(fresh)
        if self._matches is not None and changed:
            self._recheck(changed)
        self._show(only_changes=True)

    @work(exclusive=True, group="arrange")
    async def put_in_order(self) -> None:
        """Look at every row anew, in slices, so that no key has to wait."""
        log, matches, column = self._log, self._matches, self._sort
        generation, rows = log.generation, log.rows
        places: list[int] = []
        end = len(rows)
        if matches is None:
            places = list(range(end))
        else:
            for start in range(0, end, SLICE):
                places += [place for place in range(start, min(start + SLICE, end)) if matches(rows[place])]
                await asyncio.sleep(0)
                if log.generation != generation:
                    self.put_in_order()
                    return
        if column is not None:
            key = column.key
            snapshot = {place: rows[place] for place in places}
            places = await asyncio.to_thread(
                sorted, places, key=lambda place: key(snapshot[place]), reverse=self._descending
            )
        if log.generation != generation:
            self.put_in_order()
            return
        log.changed()
        self._generation, self._places, self._seen = generation, places, end
        self._show()

    def _take(self, fresh: range) -> None:
        rows, column = self._log.rows, self._sort
        wanted = [place for place in fresh if self._matches is None or self._matches(rows[place])]
        if column is None:
            self._places += wanted
            return
        if self._descending:
            self._places.reverse()
        for place in wanted:
            insort(self._places, place, key=lambda at: column.key(rows[at]))
        if self._descending:
            self._places.reverse()

    def _recheck(self, changed: set[int]) -> None:
        """Rows that match now and did not before (a status that came at the end), or the other way round."""
        assert self._matches is not None
        newest = set(self._places[-SLICE:])
        now = {place for place in changed if self._matches(self._log.rows[place])}
        gone, come = (changed - now) & newest, now - newest
        if gone:
            self._places = [place for place in self._places if place not in gone]
        if come and self._sort is None:
            for place in sorted(come):
                if place not in self._places[-SLICE:]:
                    insort(self._places, place)

    def _show(self, *, only_changes: bool = False) -> None:
        """With `only_changes` nothing is drawn where the rows on the screen are as they were."""
        height = len(self._places) + 1
        if height != self.virtual_size.height:  # set past Textual, which would lay out the whole screen anew
            self.set_reactive(RequestTable.virtual_size, Size(self.size.width, height))
            self.vertical_scrollbar.window_virtual_size = height
        if self.following:
            self.scroll_end(animate=False, immediate=True)
        picture = self._on_screen()
        if not only_changes or picture != self._picture or any(row.running for row in picture):
            self.refresh()
        self._picture = picture
        self.post_message(self.Changed(len(self._places), len(self._log.rows)))

    def _on_screen(self) -> list[RequestRow]:
        top = self.scroll_offset.y
        return [self._log.rows[place] for place in self._places[top : top + max(0, self.size.height - 1)]]

    # --- drawing

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._recolour())
        self._recolour()

    def on_resize(self, event: Resize) -> None:
        columns = fitting(event.size.width - 1)
        if columns != self._columns:
            self._columns = columns
            self._drawn.clear()
        self._show()

    def notify_style_update(self) -> None:
        """Other colours: every line is written anew."""
        super().notify_style_update()
        self._base = None
        self._drawn.clear()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """No style asks for it."""

    def _recolour(self) -> None:
        variables = self.app.theme_variables
        names = ("primary", "success", "warning", "error", "accent")
        self._styles = {name: Style(color=Color.parse(variables[name]).rich_color) for name in names}
        self._styles |= {"": Style(), "dim": Style(dim=True)}
        self._under = Style(bgcolor=Color.parse(variables["panel-lighten-2"]).rich_color, bold=True)
        self._drawn.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self._base = self._base or self.rich_style
        if y == 0:
            return self._head(width, base)
        index = self.scroll_offset.y + y - 1
        if index >= len(self._places):
            return Strip.blank(width, base)
        place = self._places[index]
        row = self._log.rows[place]
        under = row.id == self.cursor_id
        if (drawn := self._drawn.get(row.id)) is not None and drawn[0] is row and drawn[1] == under:
            return drawn[2]
        if row.running:
            return self._line(self._log.now(place), under, width, base)
        strip = self._line(row, under, width, base)
        if len(self._drawn) >= MOST_DRAWN:
            self._drawn.clear()
        self._drawn[row.id] = row, under, strip
        return strip

    def _line(self, row: RequestRow, under: bool, width: int, base: Style) -> Strip:
        """Neighbours of one colour are one piece."""
        if under:
            base += self._under
        elif row.running:
            base += Style(bold=True)
        pieces: list[tuple[str, str]] = []
        for column, size in self._columns:
            said, colour = column.cell(row)
            shown = f"{fit(said, size, right=column.right)} "
            if pieces and pieces[-1][1] == colour:
                shown = pieces.pop()[0] + shown
            pieces.append((shown, colour))
        segments = [Segment(shown, base + self._styles.get(colour, Style())) for shown, colour in pieces]
        return Strip(segments).adjust_cell_length(width, base)

    def _head(self, width: int, base: Style) -> Strip:
        head = base + Style(bold=True, underline=True)
        said = ""
        for column, size in self._columns:
            mark = ("▼" if self._descending else "▲") if column is self._sort else ""
            said += f"{fit(column.name.strip() + mark, size, right=column.right)} "
        return Strip([Segment(said, head)]).adjust_cell_length(width, head)

    # --- keys and mouse

    def _index(self) -> int:
        """Of the row under the cursor among those that are shown; the last where it is none of them."""
        wanted = self.cursor_id
        place = self._log.place(wanted) if wanted is not None else None
        if place is None or not self._places:
            return len(self._places) - 1
        if self._sort is None:
            at = bisect_left(self._places, place)
            return at if at < len(self._places) and self._places[at] == place else len(self._places) - 1
        try:
            return self._places.index(place)
        except ValueError:
            return len(self._places) - 1

    def move_to(self, index: int) -> str | None:
        """The cursor onto a row of the screen's order; its request."""
        if not self._places:
            return None
        index, before = max(0, min(len(self._places) - 1, index)), self._index()
        self._cursor = self._log.rows[self._places[index]].id
        self.following = False
        self.scroll_to_region(Region(0, index, 1, 2), animate=False, immediate=True)
        for line in (before, index):  # scrolling draws all of them, but mostly only these two have changed
            self.refresh_line(line + 1)
        self.post_message(self.Changed(len(self._places), len(self._log.rows)))
        return self._cursor

    def action_move(self, step: int) -> None:
        at = self._index()
        if step > 0 and at == len(self._places) - 1 and self._sort is None:
            self.action_follow()
        else:
            self.move_to(at + step)

    def action_page(self, step: int) -> None:
        self.move_to(self._index() + step * max(1, self.size.height - 2))

    def action_first(self) -> None:
        self.move_to(0)

    def action_follow(self) -> None:
        self.following = True
        self._show()

    def action_open(self) -> None:
        if (request_id := self.cursor_id) is not None:
            self.post_message(self.Opened(request_id))

    def action_sort(self, step: int) -> None:
        """By the next column; behind the last one by time of arrival again."""
        order = [None, *(column for column, _ in self._columns)]
        self._sort_by(order[(order.index(self._sort) + step) % len(order)] if self._sort in order else None)

    def action_reverse(self) -> None:
        self._descending = not self._descending
        self._sort_by(self._sort or COLUMNS[1], keep=True)

    def _sort_by(self, column: Column | None, *, keep: bool = False) -> None:
        if not keep:
            self._descending = column is not None and column.right  # the largest first
        self._sort = column
        self.following = column is None
        self.put_in_order()

    def on_click(self, event: Click) -> None:
        if event.y == 0:
            at = 0
            for column, size in self._columns:
                if at <= event.x <= at + size:
                    if column is self._sort:
                        self.action_reverse()
                    else:
                        self._sort_by(column)
                    return
                at += size + 1
            return
        index = self.scroll_offset.y + event.y - 1
        if index < len(self._places):
            again = self._log.rows[self._places[index]].id == self.cursor_id and not self.following
            self.move_to(index)
            if again:
                self.action_open()
