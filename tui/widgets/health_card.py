"""How Claude and the sidecar are, in a line each: what one looks for when an answer does not come. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.drawing import Line, boxed, cropped
from tui.widgets.top_bar import SIGNS

INTERCEPTOR: Final = {"running": "success", "restarting": "error", "starting": "warning", "stopping": "warning"}
"""A colour of the theme for each of its states; for none of them: off."""

Fact = tuple[str, str, str]
"""What it is about, what is said, a colour of the theme (or none)."""


def health_card(state: Mapping[str, Any] | None, retries: int, width: int) -> list[Line]:
    """A box of seven lines. `retries` are those of the chosen span of time."""
    facts = _facts(state, retries) if state is not None else ()
    lines = [cropped([(f"{about:<12}", "dim"), (said, colour)], width - 4) for about, said, colour in facts]
    return boxed("Claude", lines, width, 7)


def _facts(state: Mapping[str, Any], retries: int) -> Iterator[Fact]:
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


def breaker_line(state: Mapping[str, Any]) -> Fact:
    """Closed, or for what it is not."""
    tripped = [f"{row['state'].replace('_', ' ')} for {row['name']}" for row in state["upstream"]["breakers"]
               if row["state"] != "closed"]  # fmt: skip
    return ("breaker", f"! {', '.join(tripped)}", "error") if tripped else ("breaker", "closed", "")
