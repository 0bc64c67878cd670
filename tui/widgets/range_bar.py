"""Which span of time the sums and plots are of: all of them side by side, the chosen one marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Click
from textual.message import Message
from textual.widgets import Static


class RangeBar(Horizontal):
    DEFAULT_CSS = """
    RangeBar { width: auto; height: 1; }
    RangeBar > Static { width: auto; padding: 0 1; color: $foreground 60%; }
    RangeBar > Static:hover { background: $boost; }
    RangeBar > Static.-chosen { background: $primary; color: $background; text-style: bold; }
    """

    @dataclass
    class Chosen(Message):
        """A span was clicked."""

        name: str

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._names = names

    def compose(self) -> ComposeResult:
        for name in self._names:
            yield Static(name, markup=False, name=name)

    def choose(self, chosen: str) -> None:
        for span in self.query(Static):
            span.set_class(span.name == chosen, "-chosen")

    def on_click(self, event: Click) -> None:
        if event.widget is not None and event.widget.name:
            self.post_message(self.Chosen(event.widget.name))
