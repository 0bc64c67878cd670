"""Several amounts over time, stacked. Where colours are shown each amount has one, to an eighth of a cell; otherwise a
shade, so that it reads without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from tui.themes import NO_COLOUR

SHADES: Final = ("█", "▒", "░")
PARTS: Final = " ▁▂▃▄▅▆▇█"
AXIS_WIDTH: Final = 9
"""A label of seven characters, a blank and the axis."""
LABEL_EVERY: Final = 24
"""Cells of the time axis that a label needs at least."""

Cell = tuple[str, int | None, int | None]
"""A character, and which amounts give its colour and its background."""


@dataclass(frozen=True, slots=True)
class Series:
    """One amount at each moment; the first of several stands at the bottom."""

    name: str
    colour: str
    """A colour of the theme: `success`."""
    values: Sequence[int]


class StackedPlot(Widget):
    """Fills what room it has. Amounts below nothing count as nothing."""

    DEFAULT_CSS: ClassVar[str] = """
    StackedPlot {
        width: 1fr;
        height: 1fr;
        min-height: 7;
        padding: 0 1;
        border: round $foreground 25%;
        border-title-color: $primary;
    }
    """

    def __init__(self, title: str, say: Callable[[int], str], *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        """`say` writes an amount in at most seven characters."""
        super().__init__(id=id)
        self.border_title = title
        self._say = say
        self._series: Sequence[Series] = ()
        self._label: Callable[[float], str] = lambda _: ""
        self._last = ""

    def draw(self, series: Sequence[Series], label: Callable[[float], str], last: str = "now") -> None:
        """`label` writes on the axis what stands there: from 0 at its beginning to 1 at its end, which is `last`."""
        self._series = series
        self._label = label
        self._last = last
        self.refresh()

    def render(self) -> Text:
        width, height = self.size.width - AXIS_WIDTH, self.size.height - 2
        if width < 8 or height < 2:
            return Text()
        columns = [_resampled(one.values, width) for one in self._series]
        stacks = list(zip(*columns, strict=True)) if columns else [()] * width
        top = max((sum(stack) for stack in stacks), default=0)
        fill = _shaded if self.app.theme == NO_COLOUR.name else _coloured
        drawn = [fill(stack, top, height) for stack in stacks]
        picture = Text(no_wrap=True)
        for line in range(height, 0, -1):
            label = self._say(top) if line == height else self._say(top // 2) if line == (height + 1) // 2 else ""
            picture.append(f"{label:>{AXIS_WIDTH - 2}} {'┤' if label else '│'}", style="dim")
            self._cells(picture, [column[line - 1] for column in drawn])
            picture.append("\n")
        picture.append(" " * (AXIS_WIDTH - 1) + "└" + self._axis(width) + "\n", style="dim")
        return picture.append(self._legend(width))

    def _cells(self, picture: Text, cells: Sequence[Cell]) -> None:
        """Neighbours that look the same are one piece: a picture has some hundred pieces, not some thousand."""
        for look, alike in groupby(cells, key=lambda cell: cell[1:]):
            fore, back = look
            style = Style(
                color=None if fore is None else self._colour(fore),
                bgcolor=None if back is None else self._colour(back),
            )
            picture.append("".join(cell[0] for cell in alike), style=style)

    def _axis(self, width: int) -> str:
        labels = max(1, width // LABEL_EVERY)
        axis = ["─"] * width
        said = ""
        for number in range(labels):
            if said := self._label(number / labels):
                at = number * width // labels
                axis[at : at + len(said) + 2] = f" {said} "
        if self._last and self._last != said:
            axis[width - len(self._last) - 1 :] = f" {self._last}"
        return "".join(axis[:width])

    def _legend(self, width: int) -> Text:
        """With amounts, where there is room for them."""
        amounts = [self._say(sum(max(0, value) for value in one.values)) for one in self._series]
        whole = sum(len(one.name) + 5 + len(amount) for one, amount in zip(self._series, amounts, strict=True))
        least = sum(len(one.name) + 4 for one in self._series) - 2
        legend = Text(" " * max(0, min(AXIS_WIDTH, AXIS_WIDTH + width - least)), no_wrap=True)
        shades = SHADES if self.app.theme == NO_COLOUR.name else ("■", "■", "■")
        for place, one in enumerate(self._series):
            legend.append(f"{shades[place % len(shades)]} ", style=Style(color=self._colour(place)))
            legend.append(f"{one.name} ")
            legend.append(f"{amounts[place]}  " if whole <= width + 2 else " ", style="bold")
        return legend

    def _colour(self, place: int) -> str:
        return self.app.theme_variables.get(self._series[place].colour, "")


def _resampled(values: Sequence[int], width: int) -> list[int]:
    """So many columns: each the mean of what falls into it, or the value that it lies in."""
    count = len(values)
    if not count:
        return [0] * width
    columns = []
    for column in range(width):
        first, last = column * count // width, max(column * count // width + 1, (column + 1) * count // width)
        part = [max(0, value) for value in values[first:last]]
        columns.append(sum(part) // len(part))
    return columns


def _edges(stack: Sequence[int], top: int, height: int) -> Iterator[int]:
    """Up to where each amount reaches, in eighths of a cell. One that is not nothing is seen: an eighth at least."""
    below, reach = 0, 0
    for value in stack:
        below += value
        reach = max(reach + (value > 0), round(8 * height * below / top)) if top else 0
        yield min(reach, 8 * height)


def _coloured(stack: Sequence[int], top: int, height: int) -> list[Cell]:
    """One column from the bottom. A cell shows two amounts: the lower one by its part of a block, the other behind."""
    edges = list(_edges(stack, top, height))
    cells: list[Cell] = []
    for line in range(height):
        floor, ceiling = 8 * line, 8 * line + 8
        lower = next((place for place, edge in enumerate(edges) if edge > floor), None)
        if lower is None:
            cells.append((" ", None, None))
        elif edges[lower] >= ceiling:
            cells.append(("█", lower, None))
        else:
            above = next((place for place, edge in enumerate(edges) if edge > edges[lower]), None)
            cells.append((PARTS[edges[lower] - floor], lower, above))
    return cells


def _shaded(stack: Sequence[int], top: int, height: int) -> list[Cell]:
    """One column from the bottom, a shade for each amount: whole cells, but for the end of the first."""
    edges = list(_edges(stack, top, height))
    cells: list[Cell] = []
    for line in range(height):
        place = next((place for place, edge in enumerate(edges) if edge > 8 * line + 3), None)
        if place is not None:
            cells.append((SHADES[place % len(SHADES)], place, None))
        elif line == 0 and edges and edges[-1]:
            cells.append((PARTS[edges[-1]], next(at for at, edge in enumerate(edges) if edge), None))
        else:
            cells.append((" ", None, None))
    return cells
