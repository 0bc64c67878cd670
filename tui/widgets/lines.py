"""A table of lines that are all there at once: what an admin route lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.message import Message
from textual.strip import Strip

from tui.widgets.line_table import Cell, LineTable

NARROWEST = 6
"""Cells that a column keeps where there is no room for all."""


class Lines(LineTable):
    """Each column is as wide as what it says; where that is too much the widest are cut."""

    @dataclass
    class Opened(Message):
        index: int

    @dataclass
    class Moved(Message):
        index: int

    @dataclass
    class HeadingClicked(Message):
        column: int

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._names: Sequence[tuple[str, bool]] = ()
        self._lines: Sequence[Sequence[Cell]] = ()
        self._cursor = 0
        self._written: dict[int, Strip] = {}

    def tell(self, names: Sequence[tuple[str, bool]], lines: Sequence[Sequence[Cell]], cursor: int) -> None:
        """The columns, each with whether it stands right; the lines; and which of them the cursor is on."""
        self._names, self._lines = names, lines
        self._cursor = max(0, min(cursor, len(lines) - 1))
        self._written.clear()
        self._fitted = self.size.width
        self.fit_columns(self._fitted)
        self.measure()
        self.scroll_to_cursor()
        self.refresh()

    @property
    def count(self) -> int:
        return len(self._lines)

    @property
    def cursor(self) -> int:
        return self._cursor if self._lines else -1

    def move_to(self, index: int) -> None:
        before = self._cursor
        self._cursor = max(0, min(index, len(self._lines) - 1))
        for line in (before, self._cursor):
            self._written.pop(line, None)
        self.show_cursor(before)
        if before != self._cursor:
            self.post_message(self.Moved(self._cursor))

    def action_open(self) -> None:
        if self._lines:
            self.post_message(self.Opened(self._cursor))

    def click_heading(self, column: int) -> None:
        self.post_message(self.HeadingClicked(column))

    def fit_columns(self, width: int) -> None:
        sizes = [
            min(max([_cells(name), 1, *(_cells(line[number][0]) for line in self._lines)]), max(NARROWEST, width))
            for number, (name, _) in enumerate(self._names)
        ]
        while sizes and sum(sizes) + len(sizes) > width and max(sizes) > NARROWEST:
            sizes[sizes.index(max(sizes))] -= 1
        self.headings = [(name, size, right) for (name, right), size in zip(self._names, sizes, strict=True)]

    def strip(self, index: int) -> Strip:
        if (written := self._written.get(index)) is None:
            written = self._written[index] = self.write(self._lines[index], under=index == self._cursor)
        return written

    def forget(self) -> None:
        self._written.clear()


def _cells(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
