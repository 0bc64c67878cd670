"""A table that writes only the lines on the screen, each once: what stays as it was is not written anew. Textual's own
table measures and styles every cell, which costs more than a key press may take.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.text import fit
from tui.widgets.inks import Inks, filtered

Cell = tuple[str, str]
"""What it says, and a colour of the theme (empty for the usual one, `dim` for less)."""
Heading = tuple[str, int, bool]
"""A column: its name, its width in cells, and whether it stands right."""
UNDER: Final = " on cursor"
"""How the line looks that the cursor is on."""


class LineTable(ScrollView, can_focus=True):
    """The first line of it is the heading; row 0 stands under it. A class of its own says what the rows are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
        Binding("enter", "open", "Open", key_display="⏎"),
    ]
    DEFAULT_CSS = """
    LineTable { height: 1fr; background: $background; overflow-x: hidden; overflow-y: scroll; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self.headings: Sequence[Heading] = ()
        self._inks = Inks({})
        self._blank = Strip.blank(0)
        self._fitted = 0
        """For how many cells the headings are."""

    # --- what a class of its own says

    @property
    @abstractmethod
    def count(self) -> int:
        """How many rows there are."""

    @property
    @abstractmethod
    def cursor(self) -> int:
        """The row that it is on; -1 where there is none."""

    @abstractmethod
    def move_to(self, index: int) -> None:
        """The cursor onto a row, or the nearest that there is."""

    @abstractmethod
    def fit_columns(self, width: int) -> None:
        """Say the headings anew: there are so many cells."""

    @abstractmethod
    def strip(self, index: int) -> Strip:
        """One row, written or kept."""

    @abstractmethod
    def forget(self) -> None:
        """The width or the colours are others: what is kept as it was written is wrong."""

    @property
    def rests(self) -> bool:
        """Whether the cursor stays where it is, so that a click on it opens."""
        return True

    @abstractmethod
    def action_open(self) -> None:
        """Enter, or a second click."""

    @abstractmethod
    def click_heading(self, column: int) -> None: ...

    # --- drawing

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._other_colours())

    def on_resize(self, event: Resize) -> None:
        """Also when it comes back to the screen as it was."""
        if not event.size.width == self._fitted == self._blank.cell_length:
            self._fitted = event.size.width
            self.fit_columns(self._fitted)
            self._other_colours()
        self.laid_out()

    def laid_out(self) -> None:
        """There may be more lines on the screen, or fewer."""
        self.measure()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """No style asks for it."""

    def _other_colours(self) -> None:
        self._inks = Inks(self.app.theme_variables)
        self._blank = Strip.blank(self.size.width, self._inks(""))
        self.forget()
        self.refresh()

    def measure(self) -> None:
        """There are more rows, or fewer. Set past Textual, which would lay out the whole screen anew."""
        height = self.count + 1
        if height != self.virtual_size.height or self.size.width != self.virtual_size.width:
            self.set_reactive(LineTable.virtual_size, Size(self.size.width, height))
            self.vertical_scrollbar.window_virtual_size = height

    def render_lines(self, crop: Region) -> list[Strip]:
        top, whole = self.scroll_offset.y, self.size.width
        if self._blank.cell_length != whole:  # not laid out yet
            return [Strip.blank(crop.width)] * crop.height
        lines = []
        for y in crop.line_range:
            index = top + y - 1
            lines.append(self._head() if y == 0 else self.strip(index) if index < self.count else self._blank)
        if crop.x == 0 and crop.width == whole:
            return lines
        return [line.crop(crop.x, crop.right) for line in lines]

    def write(self, cells: Sequence[Cell], *, under: bool = False, bold: bool = False) -> Strip:
        """One line; neighbours of one colour are one piece."""
        pieces: list[list[str]] = []
        inks: list[str] = []
        left = self.size.width
        for (said, colour), (_, size, right) in zip(cells, self.headings, strict=True):
            shown = fit(said, size, right=right)
            left -= size + 1
            if inks and inks[-1] == colour:
                pieces[-1] += (shown, " ")
            else:
                inks.append(colour)
                pieces.append([shown, " "])
        loud, ground = "bold " if bold or under else "", UNDER if under else ""
        segments = [
            Segment("".join(piece), self._inks(f"{loud}{colour}{ground}"))
            for piece, colour in zip(pieces, inks, strict=True)
        ]
        if left > 0:
            segments.append(Segment(" " * left, self._inks(ground)))
        return self._filtered(Strip(segments, self.size.width - min(0, left)))

    def _head(self) -> Strip:
        said = "".join(f"{fit(name, size, right=right)} " for name, size, right in self.headings)
        width = self.size.width
        return self._filtered(Strip([Segment(said.ljust(width)[:width], self._inks("bold underline"))], width))

    def _filtered(self, strip: Strip) -> Strip:
        strip = filtered(self, strip)
        return strip.crop(0, self.size.width) if strip.cell_length > self.size.width else strip

    # --- keys and mouse

    def show_cursor(self, before: int) -> None:
        """It was on another row: scroll to where it is, and draw the two anew."""
        self.scroll_to_cursor()
        for line in (before, self.cursor):  # scrolling draws all of them, but mostly only these two have changed
            self.refresh_line(line + 1)

    def scroll_to_cursor(self) -> None:
        self.scroll_to_region(Region(0, max(0, self.cursor), 1, 2), animate=False, immediate=True)

    def action_move(self, step: int) -> None:
        self.move_to(self.cursor + step)

    def action_page(self, step: int) -> None:
        self.move_to(self.cursor + step * max(1, self.size.height - 2))

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(self.count - 1)

    def on_click(self, event: Click) -> None:
        if event.y == 0:
            at = 0
            for column, (_, size, _) in enumerate(self.headings):
                if at <= event.x <= at + size:
                    self.click_heading(column)
                at += size + 1
            return
        index = self.scroll_offset.y + event.y - 1
        if index < self.count:
            again = self.rests and index == self.cursor
            self.move_to(index)
            if again:
                self.action_open()
