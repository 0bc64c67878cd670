"""What is not as it should be, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui import csv_file
from tui.asking import asked
from tui.shapes import DOCTOR
from tui.sidecar_client import SidecarError
from tui.text import clock
from tui.views import View

SEVERITIES = {
    "problem": ("✖", "error"),
    "warning": ("!", "warning"),
    "note": ("·", "primary"),
    "ok": ("✓", "success"),
}
"""In the order in which they are told, each with its sign and colour."""


class Doctor(View):
    HINT = "What `cgw doctor` finds, as the sidecar sees it. `r` looks again."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "reload", "Look again")]
    DEFAULT_CSS = """
    Doctor VerticalScroll { padding: 1 2; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._findings: Sequence[Mapping[str, Any]] = ()
        self._checked: float | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static("Looking ...", id="findings", markup=False)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def show(self) -> None:
        self.load()

    def focus_first(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_reload(self) -> None:
        self.load()

    @work(exclusive=True)
    async def load(self) -> None:
        try:
            found = await asked(self, self.dashboard.client.get("doctor", DOCTOR))
        except SidecarError as error:
            self.query_one("#findings", Static).update(str(error))
            return
        self._findings, self._checked = found["findings"], found["checked"]
        self._draw()

    def _draw(self) -> None:
        if self._checked is not None:
            self.query_one("#findings", Static).update(self._told(self._checked))

    def _told(self, checked: float) -> Text:
        told = Text()
        for severity, (sign, colour) in SEVERITIES.items():
            style = self.app.theme_variables[colour]
            for finding in self._findings:
                if (finding["severity"] if finding["severity"] in SEVERITIES else "note") != severity:
                    continue
                told.append(f"{sign} {finding['check']:<18}", style=f"bold {style}")
                told.append(f" {finding['said']}\n")
                if finding["fix"]:
                    told.append(f"  {'':<18} → {finding['fix']}\n", style=style)
        return told.append(f"\nLooked at {clock(checked)}. `cgw doctor` in a terminal also tries your key.", "dim")

    def export(self) -> None:
        columns = ("check", "severity", "said", "fix")
        try:
            path = csv_file.write("doctor", columns, ([one[name] for name in columns] for one in self._findings))
        except OSError as error:
            self.app.notify(f"The file cannot be written: {error}", severity="error")
        else:
            self.app.notify(f"{len(self._findings)} findings in {path}")
