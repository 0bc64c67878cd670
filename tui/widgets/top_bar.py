"""The first line: who this is, the views, and how the sidecar is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from tui.text import duration

SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "ok": ("●", "success"),
    "unknown": ("○", "foreground"),
    "degraded": ("◐", "warning"),
    "down": ("✖", "error"),
}
"""Of how Claude answers: a sign and a colour of the theme."""


class TopBar(Horizontal):
    DEFAULT_CSS = """
    TopBar {
        height: 1;
        background: $panel;
    }
    TopBar > #brand { width: auto; padding: 0 1; background: $primary; color: $background; text-style: bold; }
    TopBar > ViewTab { width: auto; padding: 0 1; color: $foreground 70%; }
    TopBar > ViewTab:hover { background: $boost; }
    TopBar > ViewTab.-chosen { color: $primary; background: $background; text-style: bold; }
    TopBar > #how { width: 1fr; text-align: right; padding: 0 1; color: $foreground 80%; }
    """

    @dataclass
    class Chosen(Message):
        """A view was clicked."""

        index: int

    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__()
        self._titles = titles

    def compose(self) -> ComposeResult:
        yield Static("cgw", id="brand")
        for index, title in enumerate(self._titles):
            yield ViewTab(index, title)
        yield Static("connecting", id="how", markup=False)

    def choose(self, index: int) -> None:
        for tab in self.query(ViewTab):
            tab.set_class(tab.index == index, "-chosen")

    def tell(self, state: Mapping[str, Any]) -> None:
        """The newest state of the sidecar."""
        upstream = state["upstream"]
        sign, colour = SIGNS.get(upstream["state"], SIGNS["unknown"])
        told = Text(no_wrap=True, overflow="ellipsis")
        told.append(f"{sign} ", style=self.app.theme_variables.get(colour, ""))
        told.append(f"Claude {upstream['state']}")
        if state["ledger"].get("state") not in {"ok", "starting"}:
            told.append(f"  ! ledger {state['ledger'].get('state')}")
        if in_flight := state["in_flight"]:
            told.append(f"  ▶ {in_flight}")
        told.append(f"  up {duration(state['uptime_seconds'])}")
        self.query_one("#how", Static).update(told, layout=False)


class ViewTab(Static):
    """One view's name, with its key."""

    def __init__(self, index: int, title: str) -> None:
        super().__init__(f"{index + 1} {title}", markup=False)
        self.index = index

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(TopBar.Chosen(self.index))
