"""The last line: the keys that mean something here. One widget that draws itself: Textual's own footer makes a widget
of every key anew whenever the focus moves, which costs more than the rest of a change of views.
"""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget

from tui.text import cut

Key = tuple[str, str, str, bool]
"""The key, how it is written, what it does, whether it can be pressed now."""


class KeyBar(Widget):
    """A click on a key presses it."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; padding: 0 1; background: $panel; color: $foreground 80%; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[Key] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._told)

    def _told(self, screen: Screen[Any]) -> None:
        keys: dict[str, Key] = {}
        for _, binding, enabled, _ in screen.active_bindings.values():
            if binding.show:
                shown = self.app.get_key_display(binding)
                keys.setdefault(binding.action, (binding.key, shown, binding.description, enabled))
        if (told := list(keys.values())) != self._keys:
            self._keys = told
            self.refresh()

    def render(self) -> Text:
        """As many as have room, whole; the last one without its word where only that is too long."""
        loud, told, left = self.app.theme_variables["accent"], Text(no_wrap=True), self.size.width
        for _, shown, does, enabled in self._keys:
            if len(shown) > left:
                break
            told.append(shown, style="dim" if not enabled else f"bold {loud}")
            told.append(f" {cut(does, max(0, left - len(shown) - 1))}  ", style="" if enabled else "dim")
            left -= len(shown) + len(does) + 3
        return told

    def on_click(self, event: Click) -> None:
        at = event.x - 1
        for key, shown, does, _ in self._keys:
            width = len(shown) + len(does) + 1
            if 0 <= at < width:
                self.app.simulate_key(key)
                return
            at -= width + 2
