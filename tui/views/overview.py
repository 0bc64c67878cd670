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

from tui.asking import asked
from tui.sidecar_client import SidecarError
from tui.text import bar, cut, dollars, meter, moment, percent, tokens
from tui.views import View
from tui.widgets.connect import Connect
from tui.widgets.health_card import HealthCard, breaker_line
from tui.widgets.latest import Latest
from tui.widgets.money_card import MoneyCard
from tui.widgets.range_bar import RangeBar
from tui.widgets.request_columns import route
from tui.widgets.stacked_plot import Series, StackedPlot

RANGES: Final = ("5m", "15m", "1h", "6h", "24h", "7d", "30d")
FRESH_SECONDS: Final = 900.0
"""A sidecar that is younger begins with the shortest range, any other with an hour."""
REFRESH_SECONDS: Final = 5.0
LINES: Final = 8
"""Of the tables of layers, models and budgets."""
SPAN: Final = "a shorter or longer span of time; so do the arrows left and right"
NARROW: Final = 100
"""Columns of a terminal with less room than two tables and a card more need."""
NEARLY_SPENT: Final = 0.8
REFUSED_SECONDS: Final = 60.0
"""How long a request that was refused is told."""


class Overview(View, can_focus=True):
    HINT = "Money first: what was saved, what was spent, and which layer did it."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket,left", "range(-1)", "Range", key_display="[ ]", tooltip=SPAN),
        Binding("right_square_bracket,right", "range(1)", "Range", show=False),
    ]
    DEFAULT_CSS = """
    Overview > VerticalScroll { overflow-x: hidden; }
    Overview #cards { height: auto; }
    Overview #strip { height: auto; padding: 0 1; }
    Overview #facts { width: 1fr; height: auto; padding: 0 1; }
    Overview #told { height: auto; padding: 0 2; display: none; }
    Overview #told.-shown { display: block; }
    Overview #plots { height: 1fr; min-height: 8; max-height: 18; }
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
    Overview.-empty #first-run { display: block; margin: 0 0 1 0; height: auto; }
    Overview.-empty #plots, Overview.-empty #tables, Overview.-empty #latest { display: none; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._range: int | None = None
        self._asked = 0.0
        self._asking = False
        self._width = 0

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            with Horizontal(id="cards"):
                yield MoneyCard("Saved today", "today")
                yield MoneyCard("Saved in 7 days", "week")
                yield MoneyCard("Saved this month", "month")
                yield HealthCard()
            with Horizontal(id="strip"):
                yield RangeBar(RANGES)
                yield Static(id="facts", markup=False)
            yield Static(id="told", markup=False)
            with Vertical(id="first-run"):
                yield Connect(self.dashboard.connect)
            with Horizontal(id="plots"):
                yield StackedPlot("Tokens", tokens, id="tokens")
                yield StackedPlot("Dollars", dollars, id="dollars")
            with Horizontal(id="tables"):
                yield Static(id="layers", classes="table", markup=False)
                yield Static(id="models", classes="table", markup=False)
                yield Static(id="budgets", classes="table", markup=False)
            yield Latest(lambda: self.dashboard.log_of_requests.rows, id="latest")

    def on_mount(self) -> None:
        self.query_one("#layers").border_title = "Saved by layer"
        self.query_one("#models").border_title = "Models and routing"
        self.query_one("#budgets").border_title = "Budgets"
        self.set_class(True, "-empty")
        self.set_interval(REFRESH_SECONDS, self._refresh_if_shown)

    @property
    def span(self) -> str:
        """The chosen range. Until somebody chose one it is a short one for a sidecar that has just begun."""
        if self._range is None:
            young = (self.dashboard.state or {}).get("uptime_seconds", 0.0) < FRESH_SECONDS
            return RANGES[0 if young else RANGES.index("1h")]
        return RANGES[self._range]

    def show(self) -> None:
        self.load()

    def tick(self) -> None:
        self.query_one(Latest).refresh()
        if time.monotonic() - self._asked > 1.0:
            self.load()

    def action_range(self, step: int) -> None:
        self._choose(RANGES.index(self.span) + step)

    def on_range_bar_chosen(self, message: RangeBar.Chosen) -> None:
        self._choose(RANGES.index(message.name))

    def _choose(self, index: int) -> None:
        self._range = max(0, min(len(RANGES) - 1, index))
        self.query_one(RangeBar).choose(self.span)
        self._asking = False
        self.load()

    def on_resize(self) -> None:
        """Also when it comes back to the screen as it was."""
        if self._width != self.size.width:
            self._width = self.size.width
            self.load()

    def _refresh_if_shown(self) -> None:
        if self.display and not self.dashboard.paused:
            self.load()

    def load(self) -> None:
        """Ask for the sums anew, where nobody is asking yet: a slow answer must not be asked away by the next tick."""
        if not self._asking:
            self._asking = True
            self._load()

    @work(exclusive=True, group="overview")
    async def _load(self) -> None:
        self._asked = time.monotonic()
        span = self.span
        try:
            found = await asked(self, self.dashboard.client.get(f"overview?range={span}"))
        except SidecarError:
            return  # what is shown stays
        finally:
            self._asking = False
        if span == self.span:
            self._tell(found)

    def _tell(self, found: Mapping[str, Any]) -> None:
        nothing_yet = not found["month"]["requests"] and not found["week"]["requests"]
        self.set_class(nothing_yet and not len(self.dashboard.log_of_requests), "-empty")
        for card in self.query(MoneyCard):
            card.tell(found[card.span])
        if self.dashboard.state is not None:
            self.query_one(HealthCard).tell(self.dashboard.state, found["range"]["retries"])
        self.query_one(RangeBar).choose(self.span)
        facts, said = self.query_one("#facts", Static), self._facts(found["range"])
        facts.update(said, layout=len(said) != len(str(facts.content)))
        self._tell_loudly(found)
        self._plot(found["series"])
        self.query_one("#layers", Static).update(self._layers(found["layers"]), layout=False)
        self.query_one("#models", Static).update(self._models(found["models"]), layout=False)
        self.query_one("#budgets", Static).update(self._budgets(found["budgets"]), layout=False)
        self._align(len(found["layers"]), len(found["models"]), len(found["budgets"]))

    def _align(self, *lines: int) -> None:
        """The tables side by side end on one line."""
        budgets = self.query_one("#budgets")
        budgets.display = bool(lines[2])
        if self._narrow:
            budgets.display, lines = False, lines[:2]
        height = min(LINES, max(2, *lines)) + 2
        for table in self.query(".table"):
            if table.styles.height is None or table.styles.height.value != height:
                table.styles.height = height

    @property
    def _narrow(self) -> bool:
        return self.size.width < NARROW

    def _plot(self, series: Sequence[Mapping[str, Any]]) -> None:
        first, span = series[0]["time"], series[-1]["time"] - series[0]["time"]

        def label(share: float) -> str:
            return moment(first + span * share, span)

        def values(name: str) -> list[int]:
            return [point[name] for point in series]

        self.query_one("#tokens", StackedPlot).draw(
            [
                Series("sent", "accent", values("sent_tokens")),
                Series("cached", "primary", values("read_tokens")),
                Series("removed", "success", values("removed_tokens")),
            ],
            label,
        )
        cost = values("cost_picos")
        saved = [max(0, without - paid) for without, paid in zip(values("baseline_picos"), cost, strict=True)]
        plot = self.query_one("#dollars", StackedPlot)
        plot.border_title = "Dollars with and without cgw"
        plot.draw([Series("paid", "accent", cost), Series("saved", "success", saved)], label)

    def _facts(self, sums: Mapping[str, Any]) -> Text:
        sent = sums["input_tokens"] + sums["cache_write_tokens"]
        read = sums["cache_read_tokens"]
        facts = Text()
        for name, value, loud in (
            ("requests", f"{sums['requests']:,}", ""),
            ("errors", f"{sums['errors']:,}", "error" if sums["errors"] else ""),
            ("in", tokens(sent + read), ""),
            ("out", tokens(sums["output_tokens"]), ""),
            ("cache reads", percent(read, sent + read), "primary"),
            ("removed", tokens(sums["removed_tokens"]), "success"),
            ("repeats", f"{sums['cache_hits']:,}", "success"),
        ):
            facts.append(f"{name}\u00a0".replace(" ", "\u00a0"), style="dim")
            facts.append(value, style=f"bold {self._colour(loud)}".rstrip())
            facts.append("  ")
        facts.rstrip()
        return facts

    def _tell_loudly(self, found: Mapping[str, Any]) -> None:
        """What needs a look: an open breaker, a failing Claude, a budget that is nearly spent."""
        told, state = Text(), self.dashboard.state
        if state is not None:
            _, breaker, colour = breaker_line(state)
            warnings = [*state["warnings"], *filter(None, [state["upstream"]["last_error"]])]
            if colour:
                told.append(f"breaker {breaker}\n", style=self._colour(colour))
            for warning in warnings:
                told.append(f"! {warning}\n", style=self._colour("warning"))
        refused = self.dashboard.log_of_requests.refused
        if refused and self.dashboard.log_of_requests.age(refused[-1]["time"]) < REFUSED_SECONDS:
            newest = refused[-1]
            told.append(
                f"! refused ({newest['status']}): {newest['method']} {newest['path']}: {newest['message']}\n",
                style=self._colour("error"),
            )
        for budget in sorted(found["budgets"], key=_spent, reverse=True)[:3]:
            if _spent(budget) >= NEARLY_SPENT:
                told.append(f"! {budget['project']}: {percent(_spent(budget), 1)} of its {budget['period']} budget of ")
                told.append(f"{dollars(budget['budget_picos'])} is spent\n")
        told.rstrip()
        loud = self.query_one("#told", Static)
        if str(loud.content) != told.plain:
            loud.update(told)
            loud.set_class(bool(told.plain), "-shown")

    def _layers(self, layers: Sequence[Mapping[str, Any]]) -> Table | Text:
        if not layers:
            return Text("Nothing saved or lost in this range yet.", style="dim")
        width = max(4, self.query_one("#layers").size.width - 38)
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=18)
        table.add_column(ratio=1, no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True, style="dim")
        most = max(abs(line["saved_picos"]) for line in layers) or 1
        for line in layers[:LINES]:
            saved = line["saved_picos"]
            colour = self._colour("success" if saved >= 0 else "error")
            table.add_row(
                line["layer"].replace("_", " ") + ("" if saved >= 0 else " (cost)"),
                Text(bar(abs(saved) / most, width).rstrip() or "▏", style=colour),
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
            name = route(line["asked"], line["model"])
            rerouted = "→" in name
            table.add_row(
                Text(name, style=self._colour("accent") if rerouted else ""),
                line["reason"],
                f"{line['requests']:,}x",
                dollars(line["cost_picos"]),
            )
        return table

    def _budgets(self, budgets: Sequence[Mapping[str, Any]]) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        for right in (False, False, False, True):
            table.add_column(no_wrap=True, justify="right" if right else "left")
        fullest = sorted(budgets, key=_spent, reverse=True)[:LINES]
        names = [cut(budget["project"], 12) for budget in fullest]
        said = [f"{percent(_spent(budget), 1)} of {dollars(budget['budget_picos'])}" for budget in fullest]
        taken = max(map(len, names), default=0) + len("month") + max(map(len, said), default=0) + 5
        width = max(4, self.query_one("#budgets").size.width - taken)
        for budget, name, share in zip(fullest, names, said, strict=True):
            colour = self._colour("error" if _spent(budget) >= NEARLY_SPENT else "primary")
            period = {"monthly": "month", "daily": "day"}.get(budget["period"], budget["period"])
            table.add_row(name, Text(period, style="dim"), Text(meter(_spent(budget), width), style=colour), share)
        return table

    def _colour(self, name: str) -> str:
        return self.app.theme_variables.get(name, "")


def _spent(budget: Mapping[str, Any]) -> float:
    return budget["spent_picos"] / budget["budget_picos"] if budget["budget_picos"] else 1.0
