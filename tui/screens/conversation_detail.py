"""One conversation, turn by turn: what was read from the cache, what was written, and why something missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from tui.asking import asked
from tui.request_row import RequestRow, row_from_wire
from tui.shapes import CONVERSATION
from tui.sidecar_client import SidecarError
from tui.text import clock, dollars, percent, sparkline, tokens
from tui.widgets.exchange_texts import miss_line
from tui.widgets.key_bar import KeyBar
from tui.widgets.line_table import Cell
from tui.widgets.lines import Lines
from tui.widgets.request_columns import cache, cost, count, models, note, saved, short_model
from tui.widgets.stacked_plot import Plot, Series, StackedPlot

if TYPE_CHECKING:
    from tui.app import Dashboard

GROWTH_WIDTH = 60

COLUMNS: Sequence[tuple[str, bool, Callable[[RequestRow], Cell]]] = (
    ("Time", False, lambda row: (clock(row.time), "dim")),
    ("Model", False, lambda row: (models(row), "")),
    ("Route", False, lambda row: (row.route_reason, "dim")),
    ("Prompt", True, lambda row: count(row.prompt_tokens)),
    ("Cached", True, lambda row: (percent(row.cache_read_tokens, row.prompt_tokens), "")),
    ("Written", True, lambda row: count(row.cache_write_tokens)),
    ("Removed", True, lambda row: count(row.removed_tokens)),
    ("Out", True, lambda row: count(row.output_tokens)),
    ("Cache", False, cache),
    ("Cost", True, cost),
    ("Saved", True, saved),
    ("What happened", False, note),
)
"""Name, whether it stands right, and what a turn has in it."""
WIDE = frozenset({"Route", "Written", "Removed", "What happened"})
"""Left out where there is little room."""
NARROW = 100


class ConversationDetail(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", key_display="esc"),
        Binding("r", "reload", "Reload"),
    ]
    DEFAULT_CSS = """
    ConversationDetail #head { height: auto; padding: 0 1; background: $surface; }
    ConversationDetail #misses { height: auto; max-height: 40%; padding: 0 1; overflow-y: auto; }
    ConversationDetail StackedPlot { height: 40%; min-height: 8; max-height: 16; }
    ConversationDetail StackedPlot.-nothing { display: none; }
    ConversationDetail Lines { height: 1fr; min-height: 6; }
    """

    def __init__(self, conversation: str) -> None:
        super().__init__()
        self._conversation = conversation
        self._turns: Sequence[RequestRow] = ()
        self._earlier = 0
        """How many turns there were before those that the sidecar tells."""

    @property
    def dashboard(self) -> Dashboard:
        return cast("Dashboard", self.app)

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield Static(id="misses", markup=False)
        yield StackedPlot("The prompt, turn by turn")
        yield Lines()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Lines).focus()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._tell_misses())
        self.load()

    @work(exclusive=True)
    async def load(self) -> None:
        """Ask the ledger, which knows a request half a second after its end."""
        try:
            found = await asked(self, self.dashboard.client.get(f"conversations/{self._conversation}", CONVERSATION))
        except SidecarError as error:
            self.query_one("#head", Static).update(str(error))
            return
        self._turns = [row_from_wire(wire) for wire in found["turns"]]
        self._earlier = max(0, found["conversation"]["turns"] - len(self._turns))
        self.query_one("#head", Static).update(self._head(found["conversation"]))
        self._tell_misses()
        self._draw()

    def _tell_misses(self) -> None:
        if self._turns:
            self.query_one("#misses", Static).update(self._misses())

    def _head(self, one: Mapping[str, Any]) -> Text:
        told = Text()
        told.append(f"{one['client']} · {one['project']} · {short_model(one['model'])}", style="bold")
        paid, saved = (dollars(one[name], estimated=one["estimated"]) for name in ("cost_picos", "saved_picos"))
        newest = f", the newest {len(self._turns):,} of them here" if self._earlier else ""
        told.append(f"  {one['turns']:,} turns{newest} · {paid} · saved {saved}")
        return told.append(f"\nprompt {sparkline(one['growth'], GROWTH_WIDTH)} {tokens(one['prompt_tokens'])}")

    def _misses(self) -> Text:
        """What cgw itself caused comes first."""
        missed = sorted((row for row in self._turns if row.miss), key=lambda row: not (row.miss and row.miss.ours))
        told = Text()
        for row in missed:
            ours = row.miss is not None and row.miss.ours
            style = self.app.theme_variables["error" if ours else "warning"]
            told.append(f"{'!' if ours else '·'} {clock(row.time)} miss, {miss_line(row)}\n", style=style)
        if not missed:
            told.append("The prompt cache held in every turn.", style="dim")
        return told

    def _draw(self) -> None:
        numbered = enumerate(self._turns, self._earlier + 1)
        self._plot([(number, row) for number, row in numbered if row.prompt_tokens])
        columns = [column for column in COLUMNS if self.size.width >= NARROW or column[0] not in WIDE]
        names = [(name, right) for name, right, _ in columns]
        lines = [[cell(row) for _, _, cell in columns] for row in self._turns]
        table = self.query_one(Lines)
        table.tell(names, lines, table.cursor if table.count == len(lines) else len(lines) - 1)

    def on_resize(self) -> None:
        if self._turns:
            self._draw()

    def _plot(self, asked: Sequence[tuple[int, RequestRow]]) -> None:
        """Only turns that Claude counted, each with its number: an answer from the response cache has no prompt."""
        plot = self.query_one(StackedPlot)
        plot.set_class(not asked, "-nothing")
        if not asked:
            return
        series = (
            Series("written", "accent", [row.input_tokens + row.cache_write_tokens for _, row in asked]),
            Series("cached", "primary", [row.cache_read_tokens for _, row in asked]),
            Series("removed", "success", [row.removed_tokens for _, row in asked]),
        )
        last = f"turn {asked[-1][0]:,}"
        plot.tell(Plot(series, tokens, lambda share: f"turn {asked[int(share * len(asked))][0]:,}", last))

    def on_lines_opened(self, message: Lines.Opened) -> None:
        self.dashboard.open_request(self._turns[message.index].id)

    def action_back(self) -> None:
        self.dismiss()

    def action_reload(self) -> None:
        self.load()
