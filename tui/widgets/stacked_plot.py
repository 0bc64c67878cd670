"""Several amounts over time, stacked: each has a colour and a shade of its own, so that it reads without colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.text import Text
from textual.widget import Widget

from tui.text import day_and_clock

SHADES: Final = ("█", "▓", "░")
PARTS: Final = " ▁▂▃▄▅▆▇"
AXIS_WIDTH: Final = 9
"""A label of seven characters, a blank and the axis."""


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
        self._times: Sequence[float] = ()
        self._series: Sequence[Series] = ()

    def draw(self, times: Sequence[float], series: Sequence[Series]) -> None:
        self._times = times
        self._series = series
        self.refresh()

    def render(self) -> Text:
        width, height = self.size.width - AXIS_WIDTH, self.size.height - 2
        if width < 8 or height < 2:
            return Text()
        columns = [_resampled(one.values, width) for one in self._series]
        totals = [sum(stack) for stack in zip(*columns, strict=True)] if columns else []
        top = max(totals, default=0)
        picture = Text(no_wrap=True)
        for line in range(height, 0, -1):
            label = self._say(top) if line == height else self._say(top // 2) if line == (height + 1) // 2 else ""
            picture.append(f"{label:>{AXIS_WIDTH - 2}} ", style="dim")
            picture.append("┤" if label else "│", style="dim")
            for column in range(width):
                self._cell(picture, [values[column] for values in columns], top, line, height)
            picture.append("\n")
        picture.append(" " * (AXIS_WIDTH - 1) + "└" + "─" * width + "\n", style="dim")
        return picture.append(self._legend(width))

    def _cell(self, picture: Text, stack: Sequence[int], top: int, line: int, height: int) -> None:
        """The cell `line` from the bottom (from 1) of one column."""
        below = 0.0
        for place, value in enumerate(stack):
            reach = below + (height * value / top if top else 0)
            if (reach >= line - 0.5 and below < line - 0.5) or (reach >= line):
                picture.append(SHADES[place % len(SHADES)], style=self._style(place))
                return
            if place == len(stack) - 1 and reach > line - 1 + 0.06:
                shade = PARTS[max(1, min(7, round((reach - line + 1) * 8)))]
                picture.append(shade if place == 0 else SHADES[place % len(SHADES)], style=self._style(place))
                return
            below = reach
        picture.append(" ")

    def _legend(self, width: int) -> Text:
        legend = Text(" " * AXIS_WIDTH)
        for place, one in enumerate(self._series):
            legend.append(f"{SHADES[place % len(SHADES)]} ", style=self._style(place))
            legend.append(f"{one.name} {self._say(sum(max(0, value) for value in one.values))}  ")
        if self._times:
            span = f"{day_and_clock(self._times[0])} - now"
            room = width + AXIS_WIDTH - len(legend.plain)
            if room > len(span):
                legend.append(span.rjust(room), style="dim")
        return legend

    def _style(self, place: int) -> str:
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
