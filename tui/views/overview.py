"""What was saved, at one glance, and by what."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from tui.sidecar_client import SidecarError
from tui.text import bar, cut, dollars, percent, tokens
from tui.views import View
from tui.widgets.connect import Connect
from tui.widgets.latest import Latest
from tui.widgets.money_card import MoneyCard
from tui.widgets.stacked_plot import Series, StackedPlot

RANGES: Final = ("15m", "1h", "6h", "24h", "7d", "30d")
REFRESH_SECONDS: Final = 5.0
BAR_WIDTH: Final = 14
LINES: Final = 8
"""Of the tables of layers and models."""


class Overview(View, can_focus=True):
    HINT = "Money first: what was saved, what was spent, and which layer did it."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket,left", "range(-1)", "Range", key_display="[ ]"),
        Binding("right_square_bracket,right", "range(1)", "Longer range", show=False),
    ]
    DEFAULT_CSS = """
    Overview #cards { height: auto; }
    Overview #facts { height: auto; padding: 0 2; }
    Overview #plots { height: 1fr; min-height: 9; max-height: 18; }
    Overview #tables { height: auto; }
    Overview .table {
        width: 1fr;
        height: auto;
        min-height: 4;
        padding: 0 1;
        border: round $foreground 25%;
        border-title-color: $primary;
    }
    Overview #first-run { display: none; }
    Overview.-empty #first-run { display: block; margin: 0 0 1 0; }
    Overview.-empty #plots, Overview.-empty #tables, Overview.-empty #latest { display: none; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._range = 0
        self._asked = 0.0

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            with Horizontal(id="cards"):
                yield MoneyCard("Saved today", "today")
                yield MoneyCard("Saved in 7 days", "week")
                yield MoneyCard("Saved this month", "month")
            yield Static(id="facts", markup=False)
            with Vertical(id="first-run"):
                yield Connect(self.dashboard.connect)
            with Horizontal(id="plots"):
                yield StackedPlot("Tokens", tokens, id="tokens")
                yield StackedPlot("Dollars", dollars, id="dollars")
            with Horizontal(id="tables"):
                yield Static(id="layers", classes="table", markup=False)
                yield Static(id="models", classes="table", markup=False)
            yield Latest(lambda: self.dashboard.log_of_requests.rows, id="latest")

    def on_mount(self) -> None:
        self.query_one("#layers").border_title = "Saved by layer"
        self.query_one("#models").border_title = "Models and routing"
        self.set_class(True, "-empty")
        self.set_interval(REFRESH_SECONDS, self._refresh_if_shown)

    def show(self) -> None:
        self.load()

    def tick(self) -> None:
        self.query_one(Latest).refresh()
        if time.monotonic() - self._asked > 1.0:
            self.load()

    def action_range(self, step: int) -> None:
        self._range = max(0, min(len(RANGES) - 1, self._range + step))
        self.load()

    def _refresh_if_shown(self) -> None:
        if self.display and not self.dashboard.paused:
            self.load()

    @work(exclusive=True, group="overview")
    async def load(self) -> None:
        """Ask the sidecar for the sums. What is shown stays where it does not answer."""
        self._asked = time.monotonic()
        try:
            found = await self.dashboard.client.get(f"overview?range={RANGES[self._range]}")
        except SidecarError:
            return
        self._tell(found)

    def _tell(self, found: Mapping[str, Any]) -> None:
        nothing_yet = not found["month"]["requests"] and not found["week"]["requests"]
        self.set_class(nothing_yet and not len(self.dashboard.log_of_requests), "-empty")
        for card in self.query(MoneyCard):
            card.tell(found[card.span])
        self.query_one("#facts", Static).update(self._facts(found))
        self._plot(found["series"])
        self.query_one("#layers", Static).update(self._layers(found["layers"]))
        self.query_one("#models", Static).update(self._models(found["models"]))

    def _plot(self, series: Sequence[Mapping[str, Any]]) -> None:
        times = [point["time"] for point in series]

        def values(name: str) -> list[int]:
            return [point[name] for point in series]

        span = RANGES[self._range]
        plot = self.query_one("#tokens", StackedPlot)
        plot.border_title = f"Tokens, {span}"
        plot.draw(
            times,
            [
                Series("sent", "accent", values("sent_tokens")),
                Series("from cache", "primary", values("read_tokens")),
                Series("removed", "success", values("removed_tokens")),
            ],
        )
        cost = values("cost_picos")
        saved = [max(0, without - paid) for without, paid in zip(values("baseline_picos"), cost, strict=True)]
        plot = self.query_one("#dollars", StackedPlot)
        plot.border_title = f"Dollars with and without cgw, {span}"
        plot.draw(times, [Series("paid", "accent", cost), Series("saved", "success", saved)])

    def _facts(self, found: Mapping[str, Any]) -> Text:
        sums, state = found["range"], self.dashboard.state
        sent = sums["input_tokens"] + sums["cache_write_tokens"]
        read = sums["cache_read_tokens"]
        facts = Text()
        for name, value in (
            (RANGES[self._range], ""),
            ("requests", f"{sums['requests']:,}"),
            ("errors", f"{sums['errors']:,}"),
            ("in", tokens(sent + read)),
            ("out", tokens(sums["output_tokens"])),
            ("cache reads", percent(read, sent + read)),
            ("removed", tokens(sums["removed_tokens"])),
            ("repeats", f"{sums['cache_hits']:,}"),
        ):
            facts.append(f"{name} ", style="dim" if value else "bold")
            facts.append(f"{value}   ")
        if state is not None:
            self._tell_state(facts, state)
        for budget in found["budgets"]:
            share = budget["spent_picos"] / budget["budget_picos"] if budget["budget_picos"] else 1.0
            facts.append(f"\n{cut(budget['project'], 16)} {budget['period']} budget ")
            facts.append(bar(share, BAR_WIDTH), style=self._colour("error" if share >= 0.8 else "primary"))
            facts.append(f" {percent(share, 1)} of {dollars(budget['budget_picos'])}")
        return facts

    def _tell_state(self, facts: Text, state: Mapping[str, Any]) -> None:
        upstream = state["upstream"]
        tripped = [row["name"] for row in upstream["breakers"] if row["state"] != "closed"]
        facts.append("breaker ", style="dim")
        if tripped:
            facts.append(f"! open for {', '.join(tripped)}   ", style=self._colour("error"))
        else:
            facts.append("closed   ")
        if (interceptor := state["interceptor"].get("state", "off")) != "off":
            facts.append("interceptor ", style="dim")
            facts.append(f"{interceptor}   ")
        for warning in (*state["warnings"], *filter(None, [upstream["last_error"]])):
            facts.append(f"\n! {warning}", style=self._colour("warning"))

    def _layers(self, layers: Sequence[Mapping[str, Any]]) -> Table | Text:
        if not layers:
            return Text("Nothing saved or lost in this range yet.", style="dim")
        width = BAR_WIDTH if self.size.width >= 100 else BAR_WIDTH // 2
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
        table.add_column(width=width)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True, style="dim")
        most = max(abs(line["saved_picos"]) for line in layers) or 1
        for line in layers[:LINES]:
            saved = line["saved_picos"]
            colour = self._colour("success" if saved >= 0 else "error")
            table.add_row(
                line["layer"].replace("_", " ") + ("" if saved >= 0 else " (cost)"),
                Text(bar(abs(saved) / most, width), style=colour),
                Text(dollars(saved, sign=True), style=colour),
                f"{line['requests']:,}x",
            )
        return table

    def _models(self, models: Sequence[Mapping[str, Any]]) -> Table | Text:
        if not models:
            return Text("No requests in this range yet.", style="dim")
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
        table.add_column(ratio=2, no_wrap=True, overflow="ellipsis", style="dim")
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        for line in models[:LINES]:
            asked, used = line["asked"], line["model"]
            name = used if asked == used else f"{asked} → {used.removeprefix('claude-')}"
            table.add_row(name, line["reason"], f"{line['requests']:,}x", dollars(line["cost_picos"]))
        return table

    def _colour(self, name: str) -> str:
        return self.app.theme_variables.get(name, "")
