"""The live table of requests, with its filter."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from tui import csv_file
from tui.asking import asked
from tui.filters import FilterError, parse
from tui.request_row import RequestRow
from tui.views import View
from tui.widgets import exchange_texts
from tui.widgets.request_table import RequestTable

CSV_COLUMNS = (
    "time",
    "id",
    "state",
    "project",
    "client",
    "conversation",
    "model_asked",
    "model",
    "route_reason",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "removed_tokens",
    "output_tokens",
    "cache",
    "prompt_cache",
    "cost_picos",
    "saved_picos",
    "estimated",
    "first_byte_ms",
    "duration_ms",
    "status",
    "error",
)
"""Fields of `RequestRow`; money in pico-dollars, exact."""


PAGES_OF_A_FILTER = 10
"""Pages of older requests that are fetched by themselves while a filter finds less than the screen holds."""


class Requests(View):
    HINT = (
        "Every request as it comes. Enter opens one; the table follows the newest until you go up. At its beginning "
        "older ones come from the ledger, as many as there is room for (DASHBOARD_ROWS)."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave_filter", "All", show=False),
    ]
    DEFAULT_CSS = """
    Requests #bar { height: 1; background: $surface; }
    Requests #filter { width: 1fr; height: 1; border: none; padding: 0 1; background: $surface; }
    Requests #filter:focus { background: $panel; }
    Requests #told { width: auto; padding: 0 1; color: $foreground 70%; }
    Requests #wrong { display: none; height: 1; padding: 0 1; color: $error; }
    Requests #wrong.-shown { display: block; }
    Requests #card { height: 6; padding: 0 1; border: round $foreground 25%; border-title-color: $primary; }
    """

    _told_of: RequestRow | None = None
    """What the card is about."""
    _filter = ""
    _pages = 0
    """How many pages of the ledger were asked for, so that the filter finds something."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="bar"):
            yield Input(placeholder="/ filter: ~m opus & ~c miss & ~p web, or any words; ? tells all", id="filter")
            yield Static(id="told", markup=False)
        yield Static(id="wrong", markup=False)
        yield RequestTable(self.dashboard.log_of_requests, id="table")
        yield Static(id="card", markup=False)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._other_colours())

    @property
    def table(self) -> RequestTable:
        return self.query_one("#table", RequestTable)

    def show(self) -> None:
        self.table.update_rows()

    def focus_first(self) -> None:
        self.table.focus()

    def tick(self) -> None:
        self.table.update_rows()

    def ask_filter(self) -> None:
        self.screen.set_focus(self.query_one("#filter", Input))  # at once: what is typed next belongs into it

    def action_leave_filter(self) -> None:
        field = self.query_one("#filter", Input)
        if field.has_focus or field.value:
            field.value = ""
        self.table.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """A filter that makes sense is in force while it is typed."""
        wrong = self.query_one("#wrong", Static)
        try:
            matches = parse(event.value)
        except FilterError as error:
            told = f"^ {error}"
            wrong.update(" " * max(0, min(error.position, self.size.width - len(told) - 2)) + told)
            wrong.set_class(True, "-shown")
            return
        wrong.set_class(False, "-shown")
        self._filter, self._pages = event.value.strip(), 0
        self.table.narrow(matches if self._filter else None)

    def on_input_submitted(self) -> None:
        self.table.focus()

    def on_request_table_changed(self, message: RequestTable.Changed) -> None:
        how = "following" if self.table.following else f"by {self.table.sorted_by}"
        shown = f"{message.shown:,}" if message.shown == message.known else f"{message.shown:,} of {message.known:,}"
        told, said = self.query_one("#told", Static), f"{shown} · {how}"
        told.update(said, layout=len(said) != len(str(told.content)))  # a layout costs more than all that is drawn
        self._tell_card()
        few = bool(self._filter) and message.shown < self.table.size.height
        if few and self._pages < PAGES_OF_A_FILTER and self.dashboard.more_history:
            self._pages += 1
            self.dashboard.load_older()

    def on_request_table_at_the_top(self) -> None:
        self.dashboard.load_older()

    def _tell_card(self) -> None:
        """What there is to say of the request under the cursor, without asking the sidecar."""
        card, row = self.query_one("#card", Static), self.table.under_cursor
        if row == self._told_of:
            return
        self._told_of = row
        card.border_title = "" if row is None else f"{row.id} · Enter opens it"
        card.update("" if row is None else exchange_texts.card(row, self.app.theme_variables), layout=False)

    def _other_colours(self) -> None:
        self._told_of = None
        self._tell_card()

    def on_request_table_opened(self, message: RequestTable.Opened) -> None:
        self.dashboard.open_request(message.request_id)

    def export(self) -> None:
        self._export()

    @work(group="export")
    async def _export(self) -> None:
        """On a thread: a hundred thousand rows take a second, and no key waits for them."""
        rows = self.table.rows
        try:
            lines = (_values(row) for row in rows)
            path = await asked(self, asyncio.to_thread(csv_file.write, "requests", CSV_COLUMNS, lines))
        except OSError as error:
            self.app.notify(f"The file cannot be written: {error}", severity="error")
        else:
            self.app.notify(f"{len(rows):,} requests in {path}")


def _values(row: RequestRow) -> list[object]:
    return [getattr(row, name) for name in CSV_COLUMNS]
