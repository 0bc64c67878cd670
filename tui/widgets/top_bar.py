"""The first line: who this is, the views, and how the sidecar is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from textual.events import Click
from textual.message import Message

from tui.drawing import Line, Piece, padded, size
from tui.text import duration
from tui.widgets.picture import Picture

SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "ok": ("●", "success"),
    "unknown": ("○", ""),
    "degraded": ("◐", "warning"),
    "down": ("✖", "error"),
}
"""Of how Claude answers: a sign and a colour of the theme."""
BRAND: Final = " cgw "
LEAST: Final = 10
"""Cells for how Claude is; names of views are cut where they leave no room for it."""


class TopBar(Picture):
    """A click on a name shows its view."""

    DEFAULT_CSS = """
    TopBar { height: 1; background: $panel; overflow-y: hidden; }
    """
    GROUND = "panel"

    @dataclass
    class Chosen(Message):
        """A view was clicked."""

        index: int

    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__()
        self._titles = titles
        self._chosen = 0
        self._state: Mapping[str, Any] | None = None

    def choose(self, index: int) -> None:
        self._chosen = index
        self.redraw()

    def tell(self, state: Mapping[str, Any]) -> None:
        """The newest state of the sidecar."""
        self._state = state
        self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        line: list[Piece] = [(BRAND, "bold background on primary")]
        for index, name in enumerate(self._names(width)):
            line.append((name, "bold primary on background" if index == self._chosen else "dim"))
        room = width - size(line) - 1
        how = next((one for one in self._how() if size(one) <= room), [])
        return [[*padded(line, width - size(how) - 1), *how, (" ", "")]]

    def _names(self, width: int) -> list[str]:
        """Whole where there is room; else closer together, and the longest only as far as there is: the keys are always
        seen."""
        room = width - len(BRAND) - LEAST
        names = [f" {index} {title} " for index, title in enumerate(self._titles, 1)]
        if sum(map(len, names)) <= room:
            return names
        names = [name.rstrip() for name in names]
        while sum(map(len, names)) > room and max(map(len, names)) > len(" 1 "):
            longest = max(range(len(names)), key=lambda index: len(names[index]))
            names[longest] = names[longest][:-1]
        return names

    def _how(self) -> Iterator[Line]:
        """The more there is room for the more is said."""
        state = self._state
        if state is None:
            yield [("connecting", "")]
            yield [("...", "")]
            return
        how = state["upstream"]["state"]
        sign, colour = SIGNS.get(how, SIGNS["unknown"])
        ledger = state["ledger"].get("state")
        trouble: Line = [] if ledger in {"ok", "starting"} else [(f"  ! ledger {ledger}", "error")]
        running: Line = [(f"  ▶ {state['in_flight']}", "")] if state["in_flight"] else []
        whole: Line = [(f"{sign} ", colour), (f"Claude {how}", ""), *trouble, *running]
        yield [*whole, (f"  up {duration(state['uptime_seconds'])}", "dim")]
        yield whole
        yield [(f"{sign} ", colour), (how, ""), *trouble, *running]
        yield [(f"{sign} ", colour), (how, ""), *trouble]
        yield [("! ledger", "error")] if trouble else [(f"{sign} ", colour), (how, "")]
        yield [("!" if trouble else sign, colour)]

    def on_click(self, event: Click) -> None:
        event.stop()
        at = len(BRAND)
        for index, name in enumerate(self._names(self.size.width)):
            if at <= event.x < at + len(name):
                self.post_message(self.Chosen(index))
            at += len(name)
