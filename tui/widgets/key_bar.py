"""The last line: the keys that mean something here. One widget that draws itself: Textual's own footer makes a widget
of every key anew whenever the focus moves, which costs more than the rest of a change of views.
"""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget

Key = tuple[str, str, str, bool]
"""The key, how it is written, what it does, whether it can be pressed now."""


LEAST = "t"
"""Of all keys the theme's is the first that need not be told."""


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
        keys, blanks = self._shown()
        loud, told = self.app.theme_variables["accent"], Text(no_wrap=True)
        for _, shown, does, enabled in keys:
            told.append(shown, style="dim" if not enabled else f"bold {loud}")
            told.append(f" {does}{' ' * blanks}", style="" if enabled else "dim")
        told.rstrip()
        return told

    def _shown(self) -> tuple[list[Key], int]:
        """As many as there is room for, and the blanks between them. The first and the last one stay: how to quit is
        always seen, and the others are in the help."""
        keys = [*self._keys]
        while len(keys) > 1:
            taken = sum(len(shown) + 1 + len(does) for _, shown, does, _ in keys)
            for blanks in (2, 1):
                if taken + blanks * (len(keys) - 1) <= self.size.width:
                    return keys, blanks
            least = next((key for key in keys if key[0] == LEAST), keys[-2])
            keys.remove(least)
        return keys, 1

    def on_click(self, event: Click) -> None:
        at = event.x - 1
        keys, blanks = self._shown()
        for key, shown, does, _ in keys:
            width = len(shown) + len(does) + 1
            if 0 <= at < width:
                self.app.simulate_key(key)
                return
            at -= width + blanks
