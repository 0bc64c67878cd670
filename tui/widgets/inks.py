"""The looks of texts (`bold success`, `accent on primary`, `dim`) as the theme has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from tui.drawing import Line

MIXED: Final = {"dim": 0.62, "frame": 0.28}
"""How much of the text's own colour is in what matters less, the rest being the background's."""
CURSOR: Final = 0.24
"""How much of the theme's first colour is behind the line that the cursor is on."""
_BLANK: Final = re.compile(r"\s")
WORDS: Final = frozenset({"bold", "underline"})


class Inks:
    """Of one theme. `ground` is the colour behind everything that names none."""

    def __init__(self, variables: Mapping[str, str], ground: str = "background") -> None:
        self._variables = variables
        self._ground = ground
        self._known: dict[str, Style] = {}

    def __call__(self, look: str) -> Style:
        if (known := self._known.get(look)) is None:
            known = self._known[look] = self._style(look)
        return known

    def _style(self, look: str) -> Style:
        words, ground = look.split(), self._ground
        if "on" in words:
            at = words.index("on")
            words, ground = words[:at], words[at + 1]
        back = self._ground_of(ground)
        colour = next((word for word in words if word not in WORDS), "")
        if colour in MIXED:
            fore = back.blend(Color.parse(self._variables["foreground"]), MIXED[colour])
        else:
            fore = Color.parse(self._variables[colour or "foreground"])
        return Style(
            color=fore.rich_color, bgcolor=back.rich_color, bold="bold" in words, underline="underline" in words
        )

    def _ground_of(self, name: str) -> Color:
        """`cursor` differs from what is around it, on dark and on light."""
        if name != "cursor":
            return Color.parse(self._variables[name])
        around = Color.parse(self._variables["background"])
        return around.blend(Color.parse(self._variables["primary"]), CURSOR)


def strip_of(widget: Widget, line: Line, inks: Inks, width: int) -> Strip:
    """One line of exactly so many cells, as the terminal gets it: without colours where there are none."""
    segments = [Segment(_on_one_line(text), inks(look)) for text, look in line if text]
    strip = Strip(segments).adjust_cell_length(width, inks(""))
    return filtered(widget, strip)


def _on_one_line(text: str) -> str:
    """Without what moves the cursor: an error of Claude's may have several lines."""
    return text if text.isprintable() else _BLANK.sub(" ", text)


def filtered(widget: Widget, strip: Strip) -> Strip:
    for one in widget.get_line_filters():
        strip = strip.apply_filter(one, Color.parse(widget.app.theme_variables["background"]))
    return strip
