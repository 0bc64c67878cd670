"""The newest requests in a line each: where each went and why, and what that saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import ClassVar

from rich.text import Text
from textual.widget import Widget

from tui.request_row import RequestRow
from tui.text import fit
from tui.widgets.request_columns import LATEST, fitting


class Latest(Widget):
    """Fills what room it has, the newest first."""

    DEFAULT_CSS: ClassVar[str] = """
    Latest {
        height: 1fr;
        min-height: 4;
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
        columns = fitting(self.size.width, LATEST)
        told = Text(no_wrap=True)
        for column, width in columns:
            told.append(f"{fit(column.name, width, right=column.right)} ", style="dim")
        for row in islice(reversed(self._rows()), max(0, self.size.height - 1)):
            told.append("\n")
            for column, width in columns:
                said, colour = column.cell(row)
                told.append(f"{fit(said, width, right=column.right)} ", style=self._style(colour))
        return told

    def _style(self, colour: str) -> str:
        return "dim" if colour == "dim" else self.app.theme_variables.get(colour, "")
