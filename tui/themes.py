"""The dashboard's colours. Whatever a colour says is said by a letter or a sign too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="cgw-dark",
    primary="#7aa2f7",
    secondary="#9d7cd8",
    accent="#ff9e64",
    success="#73daca",
    warning="#e0af68",
    error="#f7768e",
    foreground="#c8d0f0",
    background="#14161f",
    surface="#1a1c28",
    panel="#232636",
    dark=True,
)
LIGHT: Final = Theme(
    name="cgw-light",
    primary="#2456c4",
    secondary="#6b3fb0",
    accent="#b4520b",
    success="#0b6e5f",
    warning="#8a5a00",
    error="#b3123c",
    foreground="#1d2233",
    background="#fbfbfd",
    surface="#f2f3f8",
    panel="#e4e7f0",
    dark=False,
)
COLOUR_BLIND: Final = Theme(
    name="cgw-colour-blind",
    primary="#56b4e9",
    secondary="#cc79a7",
    accent="#e69f00",
    success="#009e73",
    warning="#f0e442",
    error="#d55e00",
    foreground="#e6e6e6",
    background="#121212",
    surface="#191919",
    panel="#262626",
    dark=True,
)
"""Okabe and Ito's colours, which nobody takes for each other: bluish green is good, vermilion is not."""
HIGH_CONTRAST: Final = Theme(
    name="cgw-high-contrast",
    primary="#00ffff",
    secondary="#ff00ff",
    accent="#ffff00",
    success="#00ff00",
    warning="#ffff00",
    error="#ff5555",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
    text_alpha=1.0,
)
NO_COLOUR: Final = Theme(
    name="cgw-no-colour",
    primary="#bbbbbb",
    secondary="#bbbbbb",
    accent="#ffffff",
    success="#dddddd",
    warning="#dddddd",
    error="#ffffff",
    foreground="#dddddd",
    background="#101010",
    surface="#141414",
    panel="#242424",
    dark=True,
)

LIGHT_BACKGROUNDS: Final = frozenset({"7", "15"})
"""White and bright white, of a terminal's sixteen colours."""

THEMES: Final = (DARK, LIGHT, COLOUR_BLIND, HIGH_CONTRAST, NO_COLOUR)


def first_theme(environ: Mapping[str, str], chosen: str = "") -> Theme:
    """NO_COLOR asks for none (no-color.org); CGW_THEME names one, with or without `cgw-`; `chosen` is the one of the
    last time. Else a terminal that tells of a light background in COLORFGBG (as rxvt, Konsole and iTerm2 do) gets the
    light one."""
    if environ.get("NO_COLOR"):
        return NO_COLOUR
    named = environ.get("CGW_THEME", "")
    for name in (f"cgw-{named.removeprefix('cgw-')}", chosen):
        if found := next((theme for theme in THEMES if theme.name == name), None):
            return found
    return LIGHT if environ.get("COLORFGBG", "").rpartition(";")[2] in LIGHT_BACKGROUNDS else DARK


def remembered(file: Path | None) -> str:
    """The theme's name that a file has; nothing where there is none."""
    try:
        return "" if file is None else file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def next_theme(name: str) -> Theme:
    """The one behind it in the row."""
    names = [theme.name for theme in THEMES]
    return THEMES[(names.index(name) + 1) % len(THEMES) if name in names else 0]
