"""Several amounts over time, stacked. Where colours are shown each amount has one, to an eighth of a cell; otherwise a
shade, so that it reads without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Final

from tui.drawing import Line, Piece, boxed, size
from tui.themes import NO_COLOUR
from tui.widgets.picture import Picture

SHADES: Final = ("█", "▒", "░")
PARTS: Final = " ▁▂▃▄▅▆▇█"
AXIS_WIDTH: Final = 10
"""A label of eight characters, a blank and the axis."""
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


@dataclass(frozen=True, slots=True)
class Plot:
    """Amounts over time. `say` writes an amount in at most eight characters; `label` writes on the axis what stands
    there, from 0 at its beginning to 1 at its end, which is `last`. Amounts below nothing count as nothing."""

    series: Sequence[Series]
    say: Callable[[int], str]
    label: Callable[[float], str]
    last: str = "now"
    estimated: bool = False
    """Whether a part of them is; said of their sums."""

    def lines(self, width: int, height: int, *, shaded: bool) -> list[Line]:
        """In so many cells and lines; `shaded` where colours tell nothing."""
        width, height = width - AXIS_WIDTH, height - 2
        if width < 8 or height < 2:
            return []
        columns = [_resampled(one.values, width) for one in self.series]
        stacks = list(zip(*columns, strict=True)) if columns else [()] * width
        top = max((sum(stack) for stack in stacks), default=0)
        fill = _shaded if shaded else _coloured
        drawn = [fill(stack, top, height) for stack in stacks]
        lines: list[Line] = []
        for line in range(height, 0, -1):
            label = self.say(top) if line == height else self.say(top // 2) if line == (height + 1) // 2 else ""
            axis = (f"{label:>{AXIS_WIDTH - 2}} {'┤' if label else '│'}", "dim")
            lines.append([axis, *self._cells([column[line - 1] for column in drawn])])
        lines.append([(" " * (AXIS_WIDTH - 1) + "└" + self._axis(width), "dim")])
        return [*lines, self._legend(width, shaded=shaded)]

    def _cells(self, cells: Sequence[Cell]) -> Iterator[Piece]:
        """Neighbours that look the same are one piece: a picture has some hundred pieces, not some thousand."""
        for look, alike in groupby(cells, key=lambda cell: cell[1:]):
            fore, back = look
            ground = "" if back is None else f" on {self.series[back].colour}"
            yield "".join(cell[0] for cell in alike), ("" if fore is None else self.series[fore].colour) + ground

    def _axis(self, width: int) -> str:
        labels = max(1, width // LABEL_EVERY)
        axis = ["─"] * width
        said = ""
        for number in range(labels):
            if said := self.label(number / labels):
                at = number * width // labels
                axis[at : at + len(said) + 2] = f" {said} "
        if self.last and self.last != said:
            axis[width - len(self.last) - 1 :] = f" {self.last}"
        return "".join(axis[:width])

    def _legend(self, width: int, *, shaded: bool) -> Line:
        """With amounts, where there is room for them; it may begin under the labels of the axis."""
        mark, room = "~" if self.estimated else "", AXIS_WIDTH + width
        shades = SHADES if shaded else ("■", "■", "■")
        legend: list[Piece] = []
        for place, one in enumerate(self.series):
            amount = mark + self.say(sum(max(0, value) for value in one.values))
            legend += [
                (f"{shades[place % len(shades)]} ", one.colour),
                (one.name, ""),
                (f" {amount}", "bold"),
                ("  ", ""),
            ]
        if size(legend[:-1]) > room:
            legend = [piece for piece in legend if piece[1] != "bold"]
        return [(" " * max(0, min(AXIS_WIDTH, room - size(legend[:-1]))), ""), *legend[:-1]]


class StackedPlot(Picture):
    """A plot with a frame of its own."""

    DEFAULT_CSS: ClassVar[str] = """
    StackedPlot { width: 1fr; height: 1fr; min-height: 7; }
    """

    def __init__(self, title: str, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._title = title
        self._plot: Plot | None = None

    def tell(self, plot: Plot) -> None:
        self._plot = plot
        self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        shaded = self.app.theme == NO_COLOUR.name
        lines = self._plot.lines(width - 4, height - 2, shaded=shaded) if self._plot is not None else []
        return boxed(self._title, lines, width, height)


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
