"""All that is known of one request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static, TabbedContent, TabPane, TextArea
from textual.widgets.text_area import Selection

from tui.asking import asked
from tui.request_row import RequestRow, row_from_wire
from tui.screens.confirm import Confirm
from tui.shapes import EXCHANGE, REPLAYED
from tui.sidecar_client import SidecarError
from tui.text import dollars
from tui.widgets import exchange_texts
from tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from textual.document._document import Document

    from tui.app import Dashboard

TABS = (
    ("decisions", "Why"),
    ("difference", "Edits"),
    ("cost", "Cost"),
    ("timing", "Timing"),
    ("answer", "Answer"),
    ("client", "Client"),
    ("upstream", "Sent"),
    ("headers", "Headers"),
)
BODIES = {"client", "upstream"}
"""Tabs that hold a whole body, which may have megabytes: drawn line by line, and only once it is looked at."""


LOOK_SECONDS = 0.5
REST_OF_A_WORD = re.compile(r"\S*")
RUNS = "It is still running: this comes with its end."


class RequestDetail(Screen[None]):
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", key_display="esc"),
        Binding("left_square_bracket", "neighbour(-1)", "Older", key_display="["),
        Binding("right_square_bracket", "neighbour(1)", "Newer", key_display="]"),
        Binding("left", "turn(-1)", "Tab before", show=False),
        Binding("right", "turn(1)", "Tab after", show=False),
        *(Binding(str(number), f"tab('{name}')", title, show=False) for number, (name, title) in enumerate(TABS, 1)),
        Binding("slash", "search", "Search", key_display="/", priority=True),  # what is typed next is for its field
        Binding("n", "search_on", "Next", show=False),
        Binding("y", "copy", "Copy"),
        Binding("w", "save", "Save"),
        Binding("r", "replay", "Replay"),
        Binding("v", "conversation", "Conversation"),
    ]
    DEFAULT_CSS = """
    RequestDetail #summary { height: auto; padding: 0 1; background: $surface; }
    RequestDetail #search { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    RequestDetail #search.-shown { display: block; }
    RequestDetail TabbedContent { height: 1fr; }
    RequestDetail TabPane { padding: 0; }
    RequestDetail VerticalScroll { padding: 1 2; }
    RequestDetail TextArea, RequestDetail TextArea:focus { border: none; padding: 0; }
    RequestDetail #summary, RequestDetail VerticalScroll > Static { width: 1fr; }
    """

    def __init__(self, request_id: str) -> None:
        super().__init__()
        self._request_id = request_id
        self._found: Mapping[str, Any] | None = None
        self._sought = ""
        self._match: tuple[str, int] | None = None
        """The tab and the place in its text that were found last."""
        self._told: dict[str, Any] = {}
        """What the tabs say that are no bodies."""
        self._runs = False

    @property
    def dashboard(self) -> Dashboard:
        return cast("Dashboard", self.app)

    def compose(self) -> ComposeResult:
        yield Static(id="summary", markup=False)
        yield Input(placeholder="Search in this tab", id="search")
        with TabbedContent(id="tabs"):
            for number, (name, title) in enumerate(TABS, 1):
                with TabPane(f"{number} {title}", id=name):
                    if name in BODIES:
                        yield TextArea(read_only=True, show_line_numbers=True, soft_wrap=False, id=f"{name}-text")
                    else:
                        with VerticalScroll():
                            yield Static(id=f"{name}-text", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.load()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._other_colours())
        self.set_interval(LOOK_SECONDS, self._look_again)

    @work(exclusive=True)
    async def load(self) -> None:
        """Ask the sidecar for all of it; the row that the table has is shown at once, and alone where there is no
        more."""
        self._found = self._match = None
        row = self.dashboard.log_of_requests.get(self._request_id)
        if row is not None:
            self._tell_row(row)
        self._runs = row is not None and row.running
        for name, _ in TABS:  # what is said of another one must not stand under this one's head
            self._put(name, RUNS if self._runs else "")
        if self._runs:
            return
        try:
            found = await asked(self, self.dashboard.client.get(f"exchanges/{self._request_id}", EXCHANGE))
        except SidecarError as error:
            why = f"{error}\nThe line above is what is left of it." if row is not None else str(error)
            for name, _ in TABS:
                self._put(name, why)
            return
        self._found = found
        self._tell(found)
        self._fill_body(self.query_one(TabbedContent).active)

    def _other_colours(self) -> None:
        if self._found is not None:
            self._tell(self._found)

    def _look_again(self) -> None:
        """A request that runs ticks; its end brings the rest."""
        log = self.dashboard.log_of_requests
        if not self._runs or (place := log.place(self._request_id)) is None:
            return
        if log.at(place).running:
            self._tell_row(log.now(place))
        else:
            self.load()

    def _tell_row(self, row: RequestRow) -> None:
        self.query_one("#summary", Static).update(exchange_texts.summary(row, self.app.theme_variables))

    def _tell(self, found: Mapping[str, Any]) -> None:
        colours, row = self.app.theme_variables, row_from_wire(found["row"])
        self._tell_row(row)
        same = found["upstream"]["same_as_client"]
        self._put("difference", exchange_texts.difference(found["edits"], same, colours))
        self._put("decisions", exchange_texts.decisions(row, found["decisions"], found["notes"], colours))
        self._put("cost", exchange_texts.cost(found["cost"], colours))
        self._put("timing", exchange_texts.timing(found["timing"], row, colours, self.size.width - 6))
        self._put("answer", exchange_texts.answer(found["answer"], colours))
        self._put("headers", exchange_texts.headers(found, colours))

    def _put(self, tab: str, content: Any) -> None:
        if tab in BODIES:
            self.query_one(f"#{tab}-text", TextArea).text = str(content)
        else:
            self._told[tab] = content
            self.query_one(f"#{tab}-text", Static).update(content)

    def on_tabbed_content_tab_activated(self, event: TabbedContent.TabActivated) -> None:
        self._fill_body(event.pane.id or "")
        event.pane.query("TextArea, VerticalScroll").first().focus()

    def _fill_body(self, tab: str) -> None:
        if tab in BODIES and self._found is not None and not self.query_one(f"#{tab}-text", TextArea).text:
            self._put(tab, exchange_texts.pretty(self._found[tab]["body"]))

    # --- keys

    def action_back(self) -> None:
        field = self.query_one("#search", Input)
        if field.has_class("-shown"):
            field.set_class(False, "-shown")
            self.focus_next("TabPane TextArea, TabPane VerticalScroll")
        else:
            self.dismiss()

    def action_tab(self, name: str) -> None:
        self.query_one(TabbedContent).active = name

    def action_turn(self, step: int) -> None:
        names = [name for name, _ in TABS]
        at = names.index(self.query_one(TabbedContent).active)
        self.action_tab(names[(at + step) % len(names)])

    def action_neighbour(self, step: int) -> None:
        log = self.dashboard.log_of_requests
        place = log.place(self._request_id)
        if place is not None and log.first <= place + step < log.end:
            self._request_id = log.at(place + step).id
            self.load()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A slash that is typed into the field is its text."""
        return None if action == "search" and isinstance(self.focused, Input) else True

    def action_search(self) -> None:
        field = self.query_one("#search", Input)
        field.set_class(True, "-shown")
        self.set_focus(field)  # at once: what is typed next belongs into it

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._sought, self._match = event.value, None
        self.action_back()
        self.action_search_on()

    def action_search_on(self) -> None:
        """To the next place in this tab that has it, from the first one again behind the last."""
        tab = self.query_one(TabbedContent).active
        text = self._text_of(tab)
        if not self._sought:
            return
        sought = re.compile(re.escape(self._sought), re.IGNORECASE)
        behind = self._match[1] + 1 if self._match is not None and self._match[0] == tab else 0
        found = sought.search(text, behind) or sought.search(text)
        if found is None:
            self.app.notify(f"`{self._sought}` is not in this tab.", timeout=2)
            return
        self._match = tab, found.start()
        if tab in BODIES:
            area = self.query_one(f"#{tab}-text", TextArea)
            document = cast("Document", area.document)
            area.selection = Selection(*map(document.get_location_from_index, found.span()))
            area.scroll_cursor_visible(center=True)
        else:
            self._mark(tab, text, *found.span())

    def _mark(self, tab: str, text: str, start: int, end: int) -> None:
        """Show the place in a text that is wrapped."""
        static = self.query_one(f"#{tab}-text", Static)
        scroll, width = cast("VerticalScroll", static.parent), static.content_size.width
        marked = Text(text) if isinstance(self._told[tab], str) else self._told[tab].copy()
        marked.stylize("reverse", start, end)
        static.update(marked)
        behind = REST_OF_A_WORD.match(text, start)
        upto = behind.end() if behind is not None and behind.end() - start < width else end
        line = Content(text[:upto]).get_height({}, width)
        scroll.scroll_to(y=line - scroll.size.height // 2, animate=False)

    def action_copy(self) -> None:
        text = self._text_of(self.query_one(TabbedContent).active)
        self.app.copy_to_clipboard(text)
        self.app.notify(f"{len(text):,} characters copied.", timeout=2)

    def action_save(self) -> None:
        """What the tab says as a file of its owner's, in the folder where the dashboard was started."""
        tab = self.query_one(TabbedContent).active
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            path = Path.cwd() / f"cgw-{self._request_id}-{tab}-{moment}.{'json' if tab in BODIES else 'txt'}"
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(self._text_of(tab), encoding="utf-8")
        except OSError as error:
            self.app.notify(f"The file cannot be written: {error}", severity="error")
        else:
            self.app.notify(f"Saved as {path}")

    @work
    async def action_replay(self) -> None:
        row = self.dashboard.log_of_requests.get(self._request_id)
        about = (
            f", about {dollars(row.cost_picos, estimated=row.estimated)} last time"
            if row is not None and row.cost_picos
            else ""
        )
        question = f"Send this request once more, past the response cache? It costs money{about}."
        if not await self.app.push_screen_wait(Confirm(question, yes="Send it")):
            return
        try:
            sent = await asked(self, self.dashboard.client.post(f"exchanges/{self._request_id}/replay", REPLAYED))
        except SidecarError as error:
            self.app.notify(str(error), severity="error")
        else:
            self.app.notify(f"Sent as {sent['id']}.")

    def action_conversation(self) -> None:
        row = self.dashboard.log_of_requests.get(self._request_id)
        if row is not None and row.conversation:
            self.dashboard.open_conversation(row.conversation)

    def _text_of(self, tab: str) -> str:
        if tab in BODIES:
            return self.query_one(f"#{tab}-text", TextArea).text
        return getattr(self._told[tab], "plain", str(self._told[tab]))
