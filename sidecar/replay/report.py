"""The results of a replay as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sidecar.replay.results import MICRO, Sums

NOTES: Final = (
    "Costs are those of the prompts, billed in simulated time by Anthropic's caching rules and list prices: plain is "
    "without caching, automatic is Anthropic's automatic caching (one 5-minute mark at the newest end, or the client's "
    "own marks); saved is of automatic. The whole bill has the recorded answers too. Pauses without a recorded time "
    "are 20 s unless --gap says otherwise. Sessions are a day apart, so that none profits from the cache of another, "
    "unless one client's were recorded one after another. Lost are characters that nobody could tell from what Claude "
    "got. Breaks are requests whose cached prefix cgw changed; cold ones were written anew with nothing left in the "
    "cache. Times are cgw's own."
)

Cell = Callable[[Sums], str]


def show(console: Console, lines: Sequence[Sums]) -> None:
    layers = sorted({layer for line in lines for layer in line.saved})
    for title, columns in (
        ("What the prompts cost", COSTS),
        ("What each layer saved of plain, by the sidecar's own books", [(name, _saved_by(name)) for name in layers]),
        ("What became of the requests", HARM),
    ):
        if columns:
            console.print(_table(title, columns, lines))
    console.print(NOTES, style="dim")


def _table(title: str, columns: Sequence[tuple[str, Cell]], lines: Sequence[Sums]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("client", no_wrap=True)
    for heading, _ in columns:
        table.add_column(heading, justify="right")
    for line in lines:
        table.add_row(line.key, *(cell(line) for _, cell in columns), end_section=line in lines[-2:-1])
    return table


def usd(micros: Decimal) -> str:
    return f"${micros / MICRO:,.4f}"


def percent(share: float) -> str:
    return f"{share:.1f} %"


def _saved_by(layer: str) -> Cell:
    return lambda line: usd(line.saved.get(layer, Decimal(0)))


COSTS: Final[tuple[tuple[str, Cell], ...]] = (
    ("plain", lambda line: usd(line.plain)),
    ("automatic", lambda line: usd(line.automatic)),
    ("cgw", lambda line: usd(line.spent)),
    ("saved", lambda line: percent(line.against_automatic)),
    ("of plain", lambda line: percent(line.against_plain)),
    ("whole bill", lambda line: percent(line.whole_against_automatic)),
)
HARM: Final[tuple[tuple[str, Cell], ...]] = (
    ("requests", lambda line: f"{line.requests:,}"),
    ("failed", lambda line: f"{line.failed:,}"),
    ("lost", lambda line: f"{line.lost:,}"),
    ("breaks", lambda line: f"{line.breaks:,}"),
    ("cold", lambda line: f"{line.rewritten_cold:,}"),
    ("ms each", lambda line: f"{line.overhead_median:.2f}"),
    ("95th", lambda line: f"{line.overhead_p95:.2f}"),
)
