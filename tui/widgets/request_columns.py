"""The columns of the table of requests, as one table: what each shows, how wide, and by what it sorts."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tui import text
from tui.request_row import RequestRow
from tui.widgets.line_table import Cell


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    least: int
    most: int
    """Cells."""
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
    "unseen": ("?", "warning"),
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


def state(row: RequestRow) -> Cell:
    """How it stands; a sidecar of another version may know a state that is not here."""
    return STATES.get(row.state, STATES["unseen"])


def short_model(name: str) -> str:
    return name.removeprefix("claude-")


def route(asked: str, used: str) -> str:
    """`opus → haiku-5-5` where another model answered than was asked for; else its name. An alias of a model (`sonnet`
    for `sonnet-5-5`) is the same model."""
    asked, used = short_model(asked), short_model(used)
    return used or asked if not used or used == asked or used.startswith(f"{asked}-") else f"{asked} → {used}"


def models(row: RequestRow) -> str:
    return route(row.model_asked, row.model)


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
    return text.dollars(
        row.saved_picos, sign=True, estimated=row.estimated
    ), "success" if row.saved_picos > 0 else "error"


def cost(row: RequestRow) -> Cell:
    if row.state in {"running", "unseen"}:
        return text.NONE, "dim"
    return text.dollars(row.cost_picos, estimated=row.estimated), ""


def _status(row: RequestRow) -> Cell:
    if row.running:
        return "...", "primary"
    said = row.state if row.state in {"left", "unseen"} else str(row.status)
    return said + ("*" if row.retries else ""), state(row)[1]


def count(tokens: int) -> Cell:
    return (text.tokens(tokens), "") if tokens else (text.NONE, "dim")


def _took(row: RequestRow) -> Cell:
    if row.running:
        return f"{(row.duration_ms or 0) / 1000:.0f}s", "primary"
    return text.milliseconds(row.duration_ms), ""


def _model(row: RequestRow) -> Cell:
    said = models(row)
    return said, "accent" if "→" in said else ""


def note(row: RequestRow) -> Cell:
    """What went wrong, or not as it should."""
    if row.error:
        return row.error, "error"
    if row.miss is not None:
        return f"{text.dollars(row.miss.cost_picos)}: {row.miss.cause}", "error" if row.miss.ours else "warning"
    return "", ""


COLUMNS: Final[Sequence[Column]] = (
    Column(" ", 1, 1, 0, state, lambda row: row.state),
    Column("Time", 8, 8, 1, lambda row: (text.clock(row.time), "dim"), lambda row: row.time),
    Column("Project", 8, 16, 9, lambda row: (row.project, ""), lambda row: row.project),
    Column("Client", 9, 14, 4, lambda row: (row.client, ""), lambda row: row.client),
    Column("Model", 14, 26, 2, _model, models),
    Column("Route", 8, 18, 7, lambda row: (row.route_reason, "dim"), lambda row: row.route_reason),
    Column("In", 5, 6, 3, lambda row: count(row.prompt_tokens), lambda row: row.prompt_tokens, right=True),
    Column("Spared", 6, 6, 8, _spared, spared_share, right=True),
    Column("Out", 5, 6, 3, lambda row: count(row.output_tokens), lambda row: row.output_tokens, right=True),
    Column("Cache", 5, 5, 3, cache, lambda row: cache(row)[0]),
    Column("Cost", 8, 9, 2, cost, lambda row: row.cost_picos, right=True),
    Column("Saved", 9, 9, 2, saved, lambda row: row.saved_picos, right=True),
    Column(
        "First", 6, 7, 10, lambda row: (text.milliseconds(row.first_byte_ms), "dim"),
        lambda row: row.first_byte_ms or 0.0, right=True,
    ),
    Column("Took", 6, 7, 6, _took, lambda row: row.duration_ms or 0.0, right=True),
    Column("Status", 6, 6, 5, _status, lambda row: row.status),
    Column("What happened", 24, 90, 11, note, lambda row: note(row)[0]),
)  # fmt: skip

LATEST: Final = frozenset({" ", "Time", "Project", "Client", "Model", "Route", "In", "Cache", "Cost", "Saved"}) | {
    "What happened"
}
"""What the overview tells of the newest."""


def fitting(width: int, names: Container[str] | None = None) -> list[tuple[Column, int]]:
    """The columns (of these names, else all) that fit into so many cells, each with its width: those that matter least
    go first, then what room is left is given out from the left."""
    chosen = [column for column in COLUMNS if names is None or column.name in names]
    while len(chosen) > 2 and sum(column.least + 1 for column in chosen) > width:
        chosen.remove(max(chosen, key=lambda column: column.keep))
    left = width - sum(column.least + 1 for column in chosen)
    fitted = []
    for column in chosen:
        more = max(0, min(left, column.most - column.least))
        left -= more
        fitted.append((column, column.least + more))
    return fitted
