"""The newest requests in a line each: where each went and why, and what that saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import ClassVar, Final

from rich.text import Text
from textual.widget import Widget

from tui import text
from tui.request_row import RequestRow
from tui.widgets.request_columns import STATES, cache, models, saved

WHO_WIDTH: Final = 22
MODELS_WIDTH: Final = 28
REASON_WIDTH: Final = 16
COST_WIDTH: Final = 10
TAKEN: Final = 2 + 9 + WHO_WIDTH + MODELS_WIDTH + REASON_WIDTH + 3 * 2 + 6 + COST_WIDTH + 2
"""Cells of a line before what went wrong."""


class Latest(Widget):
    """Fills what room it has, the newest first."""

    DEFAULT_CSS: ClassVar[str] = """
    Latest {
        height: 1fr;
        min-height: 3;
        padding: 0 1;
        border: round $foreground 25%;
        border-title-color: $primary;
    }
    """
    BORDER_TITLE = "Latest"

    def __init__(self, rows: Callable[[], Sequence[RequestRow]], *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        """`rows` gives those that are known, oldest first."""
        super().__init__(id=id)
        self._rows = rows

    def render(self) -> Text:
        told = Text()
        for row in islice(reversed(self._rows()), max(0, self.size.height)):
            sign, colour = STATES[row.state]
            told.append(f"{sign} ", style=self._style(colour))
            told.append(f"{text.clock(row.time)} ", style="dim")
            told.append(_cell(f"{row.project} · {row.client}", WHO_WIDTH))
            told.append(_cell(models(row), MODELS_WIDTH))
            told.append(_cell(row.route_reason, REASON_WIDTH), style="dim")
            said, colour = cache(row)
            told.append(f"{said:<6}", style=self._style(colour))
            said, colour = saved(row)
            told.append(f"{said:>{COST_WIDTH}}", style=self._style(colour))
            if (why := row.miss.cause if row.miss is not None else row.error) and (room := self.size.width - TAKEN) > 8:
                bad = row.miss is None or row.miss.ours
                told.append(f"  {text.cut(why, room)}", style=self._style("error" if bad else "warning"))
            told.append("\n")
        return told

    def _style(self, colour: str) -> str:
        return "dim" if colour == "dim" else self.app.theme_variables.get(colour, "")


def _cell(said: str, width: int) -> str:
    return f"{text.cut(said, width):<{width}}  "
