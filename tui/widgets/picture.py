"""A picture of lines that a class of its own draws: written line by line, and only the lines that are others now."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from textual.events import Resize
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.drawing import Line
from tui.widgets.inks import Inks, strip_of


class Picture(ScrollView):
    """Scrolls where it is higher than its room."""

    DEFAULT_CSS = """
    Picture { background: $background; overflow-x: hidden; overflow-y: auto; }
    """
    GROUND = "background"
    """The colour behind it."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()
        self._strips: list[Strip] = []
        self._inks: Inks | None = None
        self._drawn_size = Size(0, 0)

    @abstractmethod
    def draw(self, width: int, height: int) -> Sequence[Line]:
        """The picture, in so much room."""

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._other_colours())

    def on_resize(self, _event: Resize) -> None:
        """Also when it comes back to the screen as it was."""
        if self.size != self._drawn_size:
            self.redraw()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """No style asks for it."""

    def _other_colours(self) -> None:
        self._inks = None
        self.redraw()

    def redraw(self) -> None:
        """What it shows may be another."""
        width, height = size = self.size
        if not width or not height:
            return
        anew = self._inks is None or size.width != self._drawn_size.width
        inks = self._inks = self._inks or Inks(self.app.theme_variables, self.GROUND)
        before, kept = ((), []) if anew else (self._lines, self._strips)
        lines = self.draw(width, height)
        same = [place < len(before) and before[place] == line for place, line in enumerate(lines)]
        self._strips = [
            kept[place] if same[place] else strip_of(self, line, inks, width) for place, line in enumerate(lines)
        ]
        self._lines, self._drawn_size = lines, size
        if len(lines) != self.virtual_size.height or width != self.virtual_size.width:
            self.virtual_size = Size(width, len(lines))
        if anew or len(lines) != len(before):
            self.refresh()
        elif changed := [place for place, is_same in enumerate(same) if not is_same]:
            top = self.scroll_offset.y
            self.refresh(*(Region(0, place - top, width, 1) for place in changed))

    def render_lines(self, crop: Region) -> list[Strip]:
        top, whole = self.scroll_offset.y, self.size.width
        blank = Strip.blank(whole, self._inks("") if self._inks is not None else None)
        lines = [self._strips[top + y] if top + y < len(self._strips) else blank for y in range(crop.y, crop.bottom)]
        if crop.x == 0 and crop.width == whole:
            return lines
        return [line.crop(crop.x, crop.right) for line in lines]
