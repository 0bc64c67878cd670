"""Whether the sidecar goes on when its dashboard ends."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Quit(ModalScreen[Literal["stop", "leave"] | None]):
    """`stop`, `leave` for going on in the background, None for staying here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s,q", "answer('stop')", "Stop it"),
        Binding("l", "answer('leave')", "Leave it running"),
        Binding("escape,n", "answer('')", "Stay here"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, in_flight: int) -> None:
        super().__init__()
        self._in_flight = in_flight

    def compose(self) -> ComposeResult:
        waiting = f" {self._in_flight} answers are on their way; stopping waits for them." if self._in_flight else ""
        with Vertical(classes="dialog"):
            yield Static(f"Shall the sidecar go on in the background?{waiting}", markup=False)
            yield Static("`cgw tui` opens the dashboard again, `cgw down` stops it.", classes="dim", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Leave it running (l)", id="leave", variant="primary")
                yield Button("Stop it (s)", id="stop", variant="warning")
                yield Button("Stay here (esc)", id="stay")

    def on_mount(self) -> None:
        self.query_one("#leave", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_answer({"leave": "leave", "stop": "stop"}.get(event.button.id or "", ""))

    def action_answer(self, ending: str) -> None:
        if ending == "stop":
            self.dismiss("stop")
        elif ending == "leave":
            self.dismiss("leave")
        else:
            self.dismiss(None)
