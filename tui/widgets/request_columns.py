"""The columns of the table of requests, as one table: what each shows, how wide, and by what it sorts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tui import text
from tui.request_row import RequestRow

Cell = tuple[str, str]
"""What it says, and a colour of the theme (empty for the usual one, `dim` for less)."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    width: int
    keep: int
    """The smaller, the longer it stays where there is little room."""
    cell: Callable[[RequestRow], Cell]
    key: Callable[[RequestRow], Any]
    right: bool = False


STATES: Final = {
    "running": ("▶", "primary"),
    "ok": ("✓", "success"),
    "failed": ("✖", "error"),
    "left": ("○", "warning"),
}
"""A sign and a colour for how a request stands."""

CACHES: Final = {
    "hit": ("hit", "success"),
    "partly": ("part", "warning"),
    "miss": ("MISS", "error"),
    "new": ("new", "dim"),
    "none": ("-", "dim"),
}
"""How Claude's cache held what was sent before."""


def short_model(name: str) -> str:
    return name.removeprefix("claude-")


def models(row: RequestRow) -> str:
    """`sonnet → sonnet-5-5`, or once where both are the same."""
    asked, used = short_model(row.model_asked), short_model(row.model)
    return used or asked if asked == used or not used else f"{asked}→{used}"


def cache(row: RequestRow) -> Cell:
    if row.cache == "HIT":
        return "HIT", "success"
    if row.cache == "JOINED":
        return "join", "success"
    if row.miss is not None and row.miss.ours:
        return "OURS!", "error"
    return CACHES.get(row.prompt_cache, CACHES["none"])


def _spared(row: RequestRow) -> Cell:
    share = spared_share(row)
    return (text.percent(share, 1), "success") if share else (text.NONE, "dim")


def spared_share(row: RequestRow) -> float:
    """What part of the client's tokens was read from a cache or left out."""
    whole = row.prompt_tokens + max(0, row.removed_tokens)
    return (row.cache_read_tokens + max(0, row.removed_tokens)) / whole if whole else 0.0


def saved(row: RequestRow) -> Cell:
    if not row.saved_picos:
        return text.NONE, "dim"
    return text.dollars(row.saved_picos, sign=True), "success" if row.saved_picos > 0 else "error"


def _cost(row: RequestRow) -> Cell:
    if row.running:
        return text.NONE, "dim"
    return ("~" if row.estimated else "") + text.dollars(row.cost_picos), ""


def _status(row: RequestRow) -> Cell:
    if row.running:
        return "...", "primary"
    return ("left" if row.state == "left" else str(row.status)) + ("*" if row.retries else ""), STATES[row.state][1]


def _tokens(count: int, row: RequestRow) -> Cell:
    return (text.tokens(count), "") if count or not row.running else (text.NONE, "dim")


COLUMNS: Final[Sequence[Column]] = (
    Column(" ", 1, 0, lambda row: STATES[row.state], lambda row: row.state),
    Column("Time", 8, 1, lambda row: (text.clock(row.time), "dim"), lambda row: row.time),
    Column("Project", 10, 9, lambda row: (row.project, ""), lambda row: row.project),
    Column("Client", 12, 4, lambda row: (row.client, ""), lambda row: row.client),
    Column("Model", 22, 2, lambda row: (models(row), ""), models),
    Column("Route", 9, 11, lambda row: (row.route_reason, "dim"), lambda row: row.route_reason),
    Column("In", 6, 3, lambda row: _tokens(row.prompt_tokens, row), lambda row: row.prompt_tokens, right=True),
    Column("Spared", 6, 8, _spared, spared_share, right=True),
    Column("Out", 6, 3, lambda row: _tokens(row.output_tokens, row), lambda row: row.output_tokens, right=True),
    Column("Cache", 5, 3, cache, lambda row: cache(row)[0]),
    Column("Cost", 8, 2, _cost, lambda row: row.cost_picos, right=True),
    Column("Saved", 9, 2, saved, lambda row: row.saved_picos, right=True),
    Column(
        "First", 7, 10, lambda row: (text.milliseconds(row.first_byte_ms), "dim"), lambda row: row.first_byte_ms or 0.0,
        right=True,
    ),
    Column(
        "Took", 7, 6, lambda row: (text.milliseconds(row.duration_ms), ""), lambda row: row.duration_ms or 0.0,
        right=True,
    ),
    Column("Status", 6, 5, _status, lambda row: row.status),
)  # fmt: skip

SHRUNK: Final = {"Model": 14, "Client": 9}
"""Widths where there is little room."""


def fitting(width: int) -> list[tuple[Column, int]]:
    """The columns that fit into so many cells, each with its width; the model gets what is left over."""
    shrunk = SHRUNK if width < 110 else {}
    widths = {column.name: shrunk.get(column.name, column.width) for column in COLUMNS}
    chosen = list(COLUMNS)
    while len(chosen) > 2 and sum(widths[column.name] + 1 for column in chosen) > width:
        chosen.remove(max(chosen, key=lambda column: column.keep))
    left = width - sum(widths[column.name] + 1 for column in chosen)
    if left > 0 and any(column.name == "Model" for column in chosen):
        widths["Model"] += min(left, 18)
    return [(column, widths[column.name]) for column in chosen]
