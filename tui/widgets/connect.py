"""How to point a tool at the sidecar, ready to be copied."""

from __future__ import annotations

from textual.widgets import Static


class Connect(Static):
    """The text as given: it is there to be pasted."""

    BORDER_TITLE = "Connect a tool"

    def __init__(self, text: str) -> None:
        super().__init__(text, markup=False)
