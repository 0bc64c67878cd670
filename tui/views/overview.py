"""What was saved, at one glance, and by what."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.worker import Worker

from tui.asking import asked
from tui.drawing import Line, Piece, beside, boxed, size, widths, wrapped
from tui.shapes import OVERVIEW
from tui.sidecar_client import SidecarError
from tui.text import bar, cut, dollars, fit, meter, moment, percent, today, tokens
from tui.themes import NO_COLOUR
from tui.views import View
from tui.widgets.health_card import breaker_line, health_card
from tui.widgets.latest import latest
from tui.widgets.money_card import money_card
from tui.widgets.picture import Picture
from tui.widgets.request_columns import route
from tui.widgets.stacked_plot import Plot, Series

RANGES: Final = ("5m", "15m", "1h", "6h", "24h", "7d", "30d")
FRESH_SECONDS: Final = 900.0
"""A sidecar that is younger begins with the shortest range, any other with an hour."""
REFRESH_SECONDS: Final = 5.0
MOST_LINES: Final = 8
"""Of the tables of layers, models and budgets."""
SPAN: Final = "a shorter or longer span of time; so do the arrows left and right"
NARROW: Final = 100
"""Columns of a terminal with less room than two tables and a card more need."""
SHORT: Final = 30
"""Lines of a view in a terminal where nothing is said twice."""
NEARLY_SPENT: Final = 0.8
REFUSED_SECONDS: Final = 60.0
"""How long a request that was refused is told."""
CARDS: Final = (("", "today"), ("Saved in 7 days", "week"), ("Saved this month", "month"))
"""Each with its name in the sidecar's sums; the first one says whose day today is."""


class Overview(View, Picture, can_focus=True):
    """One picture, drawn in one piece: twenty widgets would take longer to be shown than a key press may."""

    HINT = (
        "Money first: what was saved, what was spent, and which layer did it. Errors are Claude's and cgw's own; where "
        "a client left before the end, that is no error, and counted as left."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket,left", "range(-1)", "Range", key_display="[ ]", tooltip=SPAN),
        Binding("right_square_bracket,right", "range(1)", "Range", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(id=id)
        self._range: int | None = None
        self._asked = 0.0
        self._answer: Worker[None] | None = None
        """What is asked now, or was asked last."""
        self._found: Mapping[str, Any] | None = None
        self._ranges: tuple[int, Sequence[tuple[int, int, str]]] = (0, ())
        """The line that the ranges stand in, and where each begins and ends."""

    def on_mount(self) -> None:
        self.set_interval(REFRESH_SECONDS, self._refresh_if_shown)

    @property
    def span(self) -> str:
        """The chosen range. Until somebody chose one it is a short one for a sidecar that has just begun."""
        if self._range is None:
            young = (self.dashboard.state or {}).get("uptime_seconds", 0.0) < FRESH_SECONDS
            return RANGES[0 if young else RANGES.index("1h")]
        return RANGES[self._range]

    @property
    def empty(self) -> bool:
        """Whether no request has ever come; as long as that is not known, one has."""
        found = self._found
        if found is None or len(self.dashboard.log_of_requests):
            return False
        return not found["month"]["requests"] and not found["week"]["requests"]

    def show(self) -> None:
        self.load()

    def tick(self) -> None:
        self.redraw()
        if time.monotonic() - self._asked > 1.0:
            self.load()

    def action_range(self, step: int) -> None:
        self._choose(RANGES.index(self.span) + step)

    def on_click(self, event: Click) -> None:
        line, places = self._ranges
        if event.y + self.scroll_offset.y == line:
            for start, end, name in places:
                if start <= event.x < end:
                    self._choose(RANGES.index(name))

    def _choose(self, index: int) -> None:
        self._range = max(0, min(len(RANGES) - 1, index))
        self.redraw()
        self._answer = self._load()

    def _refresh_if_shown(self) -> None:
        if self.display and not self.dashboard.paused:
            self.load()

    def load(self) -> None:
        """Ask for the sums anew, where nobody is asking yet: a slow answer must not be asked away by the next tick."""
        if self._answer is None or self._answer.is_finished:
            self._answer = self._load()

    @work(exclusive=True, group="overview")
    async def _load(self) -> None:
        self._asked = time.monotonic()
        span = self.span
        try:
            found = await asked(self, self.dashboard.client.get(f"overview?range={span}", OVERVIEW))
        except SidecarError:
            return  # what is shown stays
        if span == self.span:
            self._found = found
            self.redraw()

    # --- the picture, from above

    def draw(self, width: int, height: int) -> Sequence[Line]:
        short = height < SHORT
        lines = self._cards(width, short=short)
        lines += self._strip(width, len(lines))
        lines += [[(" ", ""), *line] for line in self._loud(width - 2)]
        if self.empty:
            connect = [[(line, "")] for line in self.dashboard.connect.splitlines()]
            return [*lines, *boxed("Nothing has come yet: connect a tool", connect, width, len(connect) + 2)]
        tables = self._tables(width, most=6 if short else MOST_LINES + 2)
        free = height - len(lines) - len(tables)
        plots = max(8, min(18, free if short else free // 2))
        lines += self._plots(width, plots)
        lines += tables
        if not short:
            newest = max(4, height - len(lines))
            rows = latest(self.dashboard.log_of_requests.rows, width - 4, newest - 2)
            lines += boxed("Latest", rows, width, newest)
        return lines

    def _cards(self, width: int, *, short: bool) -> list[Line]:
        sizes = widths(width, 3 if width < NARROW else 4)
        cards = [
            money_card(
                title or f"Saved {today()}", self._found[span] if self._found else None, sizes[place], short=short
            )
            for place, (title, span) in enumerate(CARDS)
        ]
        if width >= NARROW:
            retries = self._found["range"]["retries"] if self._found else 0
            cards.append(health_card(self.dashboard.state, retries, sizes[3])[: len(cards[0])])
        return beside(cards)

    def _strip(self, width: int, at: int) -> list[Line]:
        """The ranges side by side, the chosen one marked, and behind them what there is to say of it."""
        line: list[Piece] = [(" ", "")]
        places = []
        for name in RANGES:
            start = size(line)
            line.append((f" {name} ", "bold background on primary" if name == self.span else "dim"))
            places.append((start, start + len(name) + 2, name))
        self._ranges = at, places
        if self._found is None:
            return [line]
        room = width - size(line) - 3
        first, *more = wrapped(_facts(self._found["range"]), width - 4, room)
        return [[*line, ("  ", ""), *first], *([("  ", ""), *one] for one in more)]

    def _loud(self, width: int) -> list[Line]:
        """What needs a look: an open breaker, a failing Claude, a budget that is nearly spent."""
        told: list[Line] = []
        state, log = self.dashboard.state, self.dashboard.log_of_requests
        if state is not None:
            _, breaker, colour = breaker_line(state)
            if colour:
                told.append([(f" breaker {breaker}", colour)])
            warnings = [*state["warnings"], *filter(None, [state["upstream"]["last_error"]])]
            told += [[(f" ! {warning}", "warning")] for warning in warnings]
        if log.refused and log.age(log.refused[-1]["time"]) < REFUSED_SECONDS:
            one = log.refused[-1]
            said = f" ! refused ({one['status']}): {one['method']} {one['path']}: {one['message']}"
            told.append([(said, "error")])
        budgets = self._found["budgets"] if self._found else ()
        for budget in sorted(budgets, key=_spent, reverse=True)[:3]:
            if _spent(budget) >= NEARLY_SPENT:
                of = f"{budget['period']} budget of {dollars(budget['budget_picos'])}"
                told.append([(f" ! {budget['project']}: {_used(budget)} of its {of} is spent", "")])
        return [wrap for line in told for wrap in _folded(line, width)]

    def _plots(self, width: int, height: int) -> list[Line]:
        left, right = widths(width, 2)
        series = self._found["series"] if self._found else ()
        shaded = self.app.theme == NO_COLOUR.name
        estimated = self._found is not None and self._found["range"]["estimated"]
        tokens_plot, dollars_plot = _plots(series, estimated) if series else (None, None)
        return beside(
            [
                boxed(title, plot.lines(size - 4, height - 2, shaded=shaded) if plot else [], size, height)
                for title, plot, size in (
                    ("Tokens", tokens_plot, left),
                    ("Dollars with and without cgw", dollars_plot, right),
                )
            ]
        )

    def _tables(self, width: int, *, most: int) -> list[Line]:
        """Side by side, and they end on one line."""
        found = self._found
        layers, models, budgets = (found["layers"], found["models"], found["budgets"]) if found else ((), (), ())
        with_budgets = width >= NARROW and bool(budgets)
        counts = [len(layers), len(models), len(budgets) if with_budgets else 0]
        height = min(most, min(MOST_LINES, max(2, *counts)) + 2)
        sizes = widths(width, 3 if with_budgets else 2)
        blocks = [
            boxed("Saved by layer", _layers(layers, sizes[0] - 4), sizes[0], height),
            boxed("Models and routing", _models(models, sizes[1] - 4), sizes[1], height),
        ]
        if with_budgets:
            blocks.append(boxed("Budgets", _budgets(budgets, sizes[2] - 4), sizes[2], height))
        return beside(blocks)


def _folded(line: Line, width: int) -> list[Line]:
    """A sentence on as many lines as it needs."""
    [(text, look)] = line
    words: list[Line] = [[(word, look)] for word in text.split(" ")]
    lines: list[list[Piece]] = [[]]
    for word in words:
        if lines[-1] and size(lines[-1]) + 1 + size(word) > width:
            lines.append([("   ", "")])
        elif lines[-1]:
            lines[-1].append((" ", ""))
        lines[-1].extend(word)
    return [*lines]


def _facts(sums: Mapping[str, Any]) -> list[Line]:
    sent = sums["input_tokens"] + sums["cache_write_tokens"]
    read = sums["cache_read_tokens"]
    left = [("left", f"{sums['left']:,}", "warning")] if sums["left"] else []
    return [
        [(f"{name} ", "dim"), (value, f"bold {colour}")]
        for name, value, colour in (
            ("requests", f"{sums['requests']:,}", ""),
            ("errors", f"{sums['errors']:,}", "error" if sums["errors"] else ""),
            *left,
            ("in", tokens(sent + read), ""),
            ("out", tokens(sums["output_tokens"]), ""),
            ("cache reads", percent(read, sent + read), "primary"),
            ("removed", tokens(sums["removed_tokens"]), "success"),
            ("repeats", f"{sums['cache_hits']:,}", "success"),
        )
    ]


def _plots(series: Sequence[Mapping[str, Any]], estimated: object) -> tuple[Plot, Plot]:
    """Of tokens and of dollars, which may be estimated."""
    first, span = series[0]["time"], series[-1]["time"] - series[0]["time"]

    def label(share: float) -> str:
        return moment(first + span * share, span)

    def values(name: str) -> list[int]:
        return [point[name] for point in series]

    cost = values("cost_picos")
    saved = [max(0, without - paid) for without, paid in zip(values("baseline_picos"), cost, strict=True)]
    sent = Series("sent", "accent", values("sent_tokens"))
    cached = Series("cached", "primary", values("read_tokens"))
    removed = Series("removed", "success", values("removed_tokens"))
    in_dollars = (Series("paid", "accent", cost), Series("saved", "success", saved))
    return Plot((sent, cached, removed), tokens, label), Plot(in_dollars, dollars, label, estimated=bool(estimated))


def _layers(layers: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    if not layers:
        return [[("Nothing saved or lost in this range yet.", "dim")]]
    named = [line["layer"].replace("_", " ") + ("" if line["saved_picos"] >= 0 else " (cost)") for line in layers]
    counts = [f"{line['requests']:,}x" for line in layers]
    name_width, count_width = min(18, max(map(len, named))), max(map(len, counts))
    room = max(4, width - name_width - count_width - 13)
    most = max(abs(line["saved_picos"]) for line in layers) or 1
    lines: list[Line] = []
    for line, name, count in zip(layers[:MOST_LINES], named, counts, strict=False):
        saved = line["saved_picos"]
        colour = "success" if saved >= 0 else "error"
        lines.append(
            [
                (f"{fit(name, name_width)} ", ""),
                ((bar(abs(saved) / most, room).rstrip() or "▏").ljust(room), colour),
                (f" {dollars(saved, sign=True, estimated=line['estimated']):>9}", colour),
                (f"  {count:>{count_width}}", "dim"),
            ]
        )
    return lines


def _models(models: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    if not models:
        return [[("No requests in this range yet.", "dim")]]
    counts = [f"{line['requests']:,}x" for line in models]
    count_width = max(map(len, counts))
    room = max(8, width - count_width - 13)
    names = [route(line["asked"], line["model"]) for line in models[:MOST_LINES]]
    name_width = min(max(map(len, names)), max(8, room * 3 // 5))
    lines: list[Line] = []
    for line, name, count in zip(models, names, counts, strict=False):
        lines.append(
            [
                (f"{fit(name, name_width)}  ", "accent" if "→" in name else ""),
                (fit(line["reason"], room - name_width), "dim"),
                (f" {count:>{count_width}}", ""),
                (f" {dollars(line['cost_picos'], estimated=line['estimated']):>9}", ""),
            ]
        )
    return lines


def _budgets(budgets: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    fullest = sorted(budgets, key=_spent, reverse=True)[:MOST_LINES]
    names = [cut(budget["project"], 12) for budget in fullest]
    said = [f"{_used(budget)} of {dollars(budget['budget_picos'])}" for budget in fullest]
    name_width, said_width = max(map(len, names)), max(map(len, said))
    room = max(4, width - name_width - len("month") - said_width - 3)
    lines: list[Line] = []
    for budget, name, share in zip(fullest, names, said, strict=True):
        period = {"monthly": "month", "daily": "day"}.get(budget["period"], budget["period"])
        lines.append(
            [
                (f"{fit(name, name_width)} ", ""),
                (f"{period:<5} ", "dim"),
                (meter(_spent(budget), room), "error" if _spent(budget) >= NEARLY_SPENT else "primary"),
                (f" {share:>{said_width}}", ""),
            ]
        )
    return lines


def _used(budget: Mapping[str, Any]) -> str:
    return f"{'~' if budget['estimated'] else ''}{percent(_spent(budget), 1)}"


def _spent(budget: Mapping[str, Any]) -> float:
    return budget["spent_picos"] / budget["budget_picos"] if budget["budget_picos"] else 1.0
