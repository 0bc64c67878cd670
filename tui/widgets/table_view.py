"""A view that is one table of what an admin route lists: sortable, narrowed by words, exported as it is shown."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from tui import csv_file
from tui.asking import asked
from tui.filters import LONGEST
from tui.sidecar_client import SidecarError
from tui.views import View
from tui.widgets.line_table import Cell
from tui.widgets.lines import Lines

Json = Mapping[str, Any]
REFRESH_SECONDS: Final = 10.0
"""While requests come and it is looked at."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    name: str
    cell: Callable[[Json], Cell | str]
    fields: Sequence[str]
    """What a CSV has, each under its own name, which tells its unit; the first is what it sorts by."""
    right: bool = False
    wide: bool = False
    """Left out where there is little room."""

    def key(self, line: Json) -> tuple[bool, Any]:
        """Lines that have none stand before those that have one."""
        value = line[self.fields[0]]
        return value is not None, value


def column(
    name: str,
    field: str,
    say: Callable[[Any], str] = str,
    colour: str = "",
    *,
    right: bool = False,
    wide: bool = False,
) -> TableColumn:
    """One field, as `say` writes it, in a colour of the theme."""
    return TableColumn(name, lambda line: (say(line[field]), colour), (field,), right, wide)


class TableView(View):
    """What differs is said by a view's own class."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort back", show=False),
        Binding("r", "reload", "Reload"),
        Binding("escape", "leave_filter", "All", show=False),
    ]
    DEFAULT_CSS = """
    /* A table without a line is not hidden: it would lose the focus, and the view its keys. */
    TableView .bar { height: 1; background: $surface; }
    TableView .bar > Input { width: 1fr; height: 1; border: none; padding: 0 1; background: $surface; }
    TableView .bar > Input:focus { background: $panel; }
    TableView .bar > Static { width: auto; padding: 0 1; color: $foreground 70%; }
    TableView .nothing { display: none; padding: 1 2; }
    TableView.-nothing .nothing { display: block; }
    TableView.-nothing Lines { height: 0; }
    """
    NAME: ClassVar[str]
    """Of the exported file."""
    COLUMNS: ClassVar[Sequence[TableColumn]]
    NOTHING: ClassVar[str]
    """What to do where the table has no row."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._lines: Sequence[Json] | None = None
        """None until the sidecar has told them."""
        self._shown: list[Json] = []
        self._sort: TableColumn | None = None
        self._ascending = False
        self._columns: list[TableColumn] = []
        self._width = 0
        self._asked = 0.0

    @abstractmethod
    async def fetch(self) -> Sequence[Json]:
        """What the table lists. Raises SidecarError."""

    @abstractmethod
    def key_of(self, line: Json) -> str:
        """The same for the same line in the next answer."""

    def chosen(self, line: Json) -> None:
        """Enter or a click on the line under the cursor."""

    def compose(self) -> ComposeResult:
        with Horizontal(classes="bar"):
            yield Input(placeholder="/ filter: any words", max_length=LONGEST)
            yield Static(markup=False)
        yield Static(self.NOTHING, classes="nothing", markup=False)
        yield Lines()

    @property
    def table(self) -> Lines:
        return self.query_one(Lines)

    @property
    def under_cursor(self) -> Json | None:
        row = self.table.cursor
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def show(self) -> None:
        self.load()

    def tick(self) -> None:
        if time.monotonic() - self._asked > REFRESH_SECONDS:
            self.load()

    def focus_first(self) -> None:
        self.table.focus()

    def on_resize(self) -> None:
        """Also when it comes back to the screen as it was."""
        if self._width != self.size.width:
            self._width = self.size.width
            self._draw()

    @work(exclusive=True)
    async def load(self) -> None:
        """Ask the sidecar. What is shown stays where it does not answer."""
        self._asked = time.monotonic()
        try:
            lines = await asked(self, self.fetch())
        except SidecarError as error:
            self.app.notify(str(error), severity="error")
            return
        if lines != self._lines:
            self._lines = lines
            self._draw()

    def replace_line(self, line: Json) -> None:
        """One line is another now."""
        key = self.key_of(line)
        self._lines = [line if self.key_of(one) == key else one for one in self._lines or ()]
        self._draw()

    def ask_filter(self) -> None:
        self.screen.set_focus(self.query_one(Input))  # at once: what is typed next belongs into it

    def export(self) -> None:
        names = [field for column in self.COLUMNS for field in column.fields]
        rows = ([line[name] for name in names] for line in self._shown)
        try:
            path = csv_file.write(self.NAME, names, rows)
        except OSError as error:
            self.app.notify(f"The file cannot be written: {error}", severity="error")
        else:
            self.app.notify(f"{len(self._shown):,} lines in {path}")

    def action_leave_filter(self) -> None:
        self.query_one(Input).value = ""
        self.table.focus()

    def action_reload(self) -> None:
        self.load()

    def action_sort(self, step: int) -> None:
        order: list[TableColumn | None] = [None, *self._columns]
        at = order.index(self._sort) if self._sort in order else 0
        self._sort_by(order[(at + step) % len(order)])

    def on_lines_heading_clicked(self, message: Lines.HeadingClicked) -> None:
        column = self._columns[message.column]
        if column is self._sort:
            self._ascending = not self._ascending
            self._draw()
        else:
            self._sort_by(column)

    def on_lines_opened(self) -> None:
        if (line := self.under_cursor) is not None:
            self.chosen(line)

    def on_input_changed(self) -> None:
        self._draw()

    def on_input_submitted(self) -> None:
        self.table.focus()

    def _sort_by(self, column: TableColumn | None) -> None:
        self._sort = column
        self._ascending = column is not None and not column.right
        self._draw()

    def _draw(self) -> None:
        if not self.is_mounted or not self.size.width or self._lines is None:
            return
        words = self.query_one(Input).value.casefold().split()
        lines = [line for line in self._lines if all(word in self._words(line) for word in words)]
        if (column := self._sort) is not None:
            lines.sort(key=column.key, reverse=not self._ascending)
        kept = self.key_of(line) if (line := self.under_cursor) is not None else None
        self._shown = lines
        narrow = self.size.width < 100
        self._columns = [one for one in self.COLUMNS if not (narrow and one.wide)]
        mark = "▲" if self._ascending else "▼"
        names = [(one.name + (mark if one is column else ""), one.right) for one in self._columns]
        cells = [[_cell(one, line) for one in self._columns] for line in lines]
        row = next((row for row, line in enumerate(lines) if self.key_of(line) == kept), 0)
        self.table.tell(names, cells, row)
        self.set_class(not self._lines, "-nothing")
        by = f" · by {column.name.lower()}" if column is not None else ""
        self.query_one(".bar > Static", Static).update(f"{len(lines):,} of {len(self._lines):,}{by}")

    def _words(self, line: Json) -> str:
        return "\n".join(str(line[field]) for column in self.COLUMNS for field in column.fields).casefold()


def _cell(column: TableColumn, line: Json) -> Cell:
    cell = column.cell(line)
    return (cell, "") if isinstance(cell, str) else cell
