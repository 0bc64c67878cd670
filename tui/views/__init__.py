"""The dashboard's views, one a file. A view is a widget that the app shows under a key of its own.

`show` is called when it becomes visible, `tick` at most four times a second while it is and something has happened.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual.widget import Widget

if TYPE_CHECKING:
    from tui.app import Dashboard


class View(Widget):
    """What every view has. All of it may be left as it is."""

    BLANK = True
    """Nothing of it is seen between its widgets."""
    HINT: ClassVar[str] = ""
    """What to do here, for the help screen."""

    DEFAULT_CSS = """
    View {
        width: 1fr;
        height: 1fr;
        layout: vertical;
    }
    """

    @property
    def dashboard(self) -> Dashboard:
        return cast("Dashboard", self.app)

    def watch_has_focus(self, _has_focus: bool) -> None:
        """No style of a view, nor of what is in it, asks for it: nothing is styled anew."""

    def show(self) -> None:
        """It is on the screen now: load what it needs."""

    def focus_first(self) -> None:
        """It was gone to: focus what its keys move. A sidecar that comes back takes nobody's focus."""
        self.focus()

    def tick(self) -> None:
        """Something has happened: show it, and quickly."""

    def ask_filter(self) -> None:
        """`/` was pressed."""
        self.app.notify("There is nothing to filter here.", timeout=2)

    def export(self) -> None:
        """`e` was pressed."""
        self.app.notify("There is no table to export here.", timeout=2)


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One view: its id, the name on its tab, and where its class is."""

    id: str
    title: str
    where: str

    def load(self) -> View:
        module, _, name = self.where.partition(":")
        view: View = getattr(importlib.import_module(module), name)(id=self.id)
        return view


VIEWS: Final = (
    ViewRow("overview", "Overview", "tui.views.overview:Overview"),
    ViewRow("requests", "Requests", "tui.views.requests:Requests"),
    ViewRow("conversations", "Conversations", "tui.views.conversations:Conversations"),
    ViewRow("files", "Files", "tui.views.files:Files"),
    ViewRow("projects", "Projects", "tui.views.projects:Projects"),
    ViewRow("doctor", "Doctor", "tui.views.doctor:Doctor"),
)
"""In the order of their keys, from 1."""
