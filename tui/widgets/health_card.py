"""How Claude and the sidecar are, in a line each: what one looks for when an answer does not come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tui.widgets.top_bar import SIGNS

INTERCEPTOR: Final = {"running": "success", "restarting": "error", "starting": "warning", "stopping": "warning"}
"""A colour of the theme for each of its states; for none of them: off."""

Line = tuple[str, str, str]
"""What it is about, what is said, a colour of the theme (or none)."""


class HealthCard(Vertical):
    DEFAULT_CSS = """
    HealthCard {
        width: 1fr;
        height: auto;
        padding: 0 1;
        border: round $foreground 25%;
        border-title-color: $primary;
    }
    HealthCard Static { width: 1fr; height: 5; }
    """
    BORDER_TITLE = "Claude"

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def tell(self, state: Mapping[str, Any], retries: int) -> None:
        """The newest state; `retries` are those of the chosen span of time."""
        told = Text(no_wrap=True, overflow="ellipsis")
        for about, said, colour in _lines(state, retries):
            told.append(f"{about:<12}", style="dim")
            told.append(f"{said}\n", style=self.app.theme_variables.get(colour, ""))
        told.rstrip()
        self.query_one(Static).update(told, layout=False)


def _lines(state: Mapping[str, Any], retries: int) -> Iterator[Line]:
    upstream = state["upstream"]
    sign, colour = SIGNS.get(upstream["state"], SIGNS["unknown"])
    yield "upstream", f"{sign} {upstream['state']}", colour
    yield breaker_line(state)
    yield "asked again", f"{retries:,} times" if retries else "never", "warning" if retries else ""
    interceptor = state["interceptor"].get("state", "off")
    yield "interceptor", interceptor, INTERCEPTOR.get(interceptor, "")
    keeps = state["keeps_bodies"]
    recording = ", recording" if state["recording"] else ""
    yield "bodies", (f"newest {keeps}" if keeps else "none kept") + recording, ""


def breaker_line(state: Mapping[str, Any]) -> Line:
    """Closed, or for what it is not."""
    tripped = [f"{row['state'].replace('_', ' ')} for {row['name']}" for row in state["upstream"]["breakers"]
               if row["state"] != "closed"]  # fmt: skip
    return ("breaker", f"! {', '.join(tripped)}", "error") if tripped else ("breaker", "closed", "")
