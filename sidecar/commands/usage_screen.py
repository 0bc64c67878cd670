"""Usage on a terminal: a table with bars, readable without colours, and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sidecar.accounts.usage_report import UsageTable
from sidecar.commands.terminal import console
from sidecar.ledger.money import PICOS_PER_MICRO, dollars
from sidecar.ledger.queries import UsageLine

BAR_CELLS: Final = 24
PARTS: Final = " ▏▎▍▌▋▊▉"
"""Of one cell, in eighths."""


class Bar:
    """`share` (0 to 1) of the widest bar."""

    def __init__(self, share: float) -> None:
        self._share = min(1.0, max(0.0, share))

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        width = min(BAR_CELLS, options.max_width)
        if options.ascii_only:
            yield Text("#" * round(self._share * width))
            return
        whole, eighths = divmod(round(self._share * width * 8), 8)
        yield Text("█" * whole + PARTS[eighths].strip(), style="cyan")

    def __rich_measure__(self, _: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(4, BAR_CELLS)


def usage_screen(found: UsageTable) -> RenderableType:
    """The table, the total below it, and what is worth knowing about the figures."""
    table = _layers(found) if found.by == "layer" else _usage(found)
    return Group(table, *map(Text, _remarks(found)))


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on the standard error, where that is a terminal; yields what tells it rows done and all rows."""
    bar = Progress(
        TextColumn("exporting"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=(terminal := console(stderr=True)),
        transient=True,
        disable=not terminal.is_terminal,
    )
    with bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, all_rows: bar.update(task, completed=done, total=all_rows)


def _usage(found: UsageTable) -> Table:
    table = _table(found.by, "requests", "read", "cached", "written", "cost", "saved", "")
    most = max(line.cost_micros for line in found.usage.lines)
    for line in found.usage.lines:
        table.add_row(Text(line.key), *_cells(line), Bar(float(line.cost_micros / most)) if most else "")
    table.add_section()
    table.add_row("total", *_cells(found.usage.total), "")
    return table


def _layers(found: UsageTable) -> Table:
    table = _table("layer", "requests", "saved", "")
    most = max((abs(line.saved_micros) for line in found.layers), default=Decimal(0))
    for line in found.layers:
        bar = Bar(float(line.saved_micros / most)) if most else ""
        table.add_row(Text(line.layer), f"{line.requests:,}", _money(line.saved_micros, line.estimated), bar)
    table.add_section()
    table.add_row(
        "total",
        f"{found.usage.total.requests:,}",
        _money(found.usage.total.saved_micros, found.usage.total.estimated),
        "",
    )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right" if name else "left", no_wrap=bool(name))  # the bar gives way first
    return table


def _cells(line: UsageLine) -> tuple[str, ...]:
    return (
        f"{line.requests:,}",
        _short(line.prompt_tokens),
        f"{line.cache_read_percent} %",
        _short(line.output_tokens),
        _money(line.cost_micros, line.estimated),
        _money(line.saved_micros, line.estimated) if line.saved_micros else "-",
    )


def _remarks(found: UsageTable) -> Iterator[str]:
    total = found.usage.total
    if found.by != "layer":
        yield "Tokens `read` by the models, how much of them `cached` by Claude, and `written`."
    if total.saved_micros:
        yield f"Saved {total.saved_percent} % of {_money(total.baseline_micros, total.estimated)}."
    for number, what in (
        (total.errors, "ended in an error"),
        (total.cancelled, "were left by their client"),
        (total.estimated, "are estimates (~): cut short, or of a model without a published price"),
    ):
        if number:
            yield f"{number:,} of {total.requests:,} requests {what}."


def _short(tokens: int) -> str:
    """At most six characters; the exact number is in `--json`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if tokens >= size:
            return f"{tokens / size:.1f} {unit}"
    return str(tokens)


def _money(micros: Decimal, estimated: int) -> str:
    """`estimated` says of how many requests it is."""
    return dollars(int(micros * PICOS_PER_MICRO), estimated=estimated)
