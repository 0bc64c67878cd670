"""How to point a tool at the sidecar, ready to be copied: what a dashboard with nothing to show says."""

from __future__ import annotations

from textual.widgets import Static


class Connect(Static):
    """The text as given: it is there to be pasted."""

    DEFAULT_CSS = """
    Connect {
        height: auto;
        padding: 0 1;
        border: round $primary;
        border-title-color: $primary;
    }
    """
    BORDER_TITLE = "Nothing has come yet: connect a tool"

    def __init__(self, text: str) -> None:
        super().__init__(text, markup=False)
