"""Sums over the ledger, exact: what was used, what it cost, what was saved and by which layer.

Times are UTC, a day is a UTC day, and a range is half open: from `since` up to, not including, `until`. Rows appear
here as soon as they are committed, about half a second after the answer.

Whoever asks must say for which project: there is no default, so that no caller can forget it. `EVERY_PROJECT` is for
the owner of the gateway only; a caller that came with a project's key passes that project's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    RowMapping,
    Select,
    and_,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from sidecar.errors import CLIENT_LEFT
from sidecar.ledger.database import Database
from sidecar.ledger.money import PICOS_PER_MICRO, Spent, micros_of
from sidecar.ledger.rows import microseconds_of, moment_of
from sidecar.ledger.schema import requests, savings

Grouping = Literal["day", "model", "project", "client"]
GROUPINGS: Final[tuple[Grouping, ...]] = get_args(Grouping)


class _Every(Enum):
    PROJECT = "every project"


EVERY_PROJECT: Final = _Every.PROJECT
ProjectScope = str | Literal[_Every.PROJECT]

LEFT: Final = or_(requests.c.cancelled, requests.c.status == CLIENT_LEFT)
FAILED: Final = and_(requests.c.status >= 400, not_(LEFT))
"""How a request ended. A client that leaves is no error."""

_DAY: Final = literal_column("86400000000", Integer)
"""Microseconds. A literal, not a parameter: PostgreSQL must see the same text in SELECT and GROUP BY."""
_MICRO: Final = literal_column(str(PICOS_PER_MICRO), Integer)


@dataclass(frozen=True, slots=True)
class UsageLine:
    """The sums over one group of requests. Money in Decimal micro-dollars."""

    key: str
    """The day (`2026-11-22`), model, project or client; `total` for all of them."""
    requests: int = 0
    errors: int = 0
    """Requests that ended in an error of Claude's or cgw's."""
    cancelled: int = 0
    """Those that their client left."""
    estimated: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    cost_micros: Decimal = Decimal(0)
    baseline_micros: Decimal = Decimal(0)

    @property
    def saved_micros(self) -> Decimal:
        return self.baseline_micros - self.cost_micros

    @property
    def saved_percent(self) -> Decimal:
        """Of the baseline, to a tenth."""
        return percent(self.saved_micros, self.baseline_micros)

    @property
    def prompt_tokens(self) -> int:
        """Everything the models read, from the cache or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def cache_read_percent(self) -> Decimal:
        """The part of the prompts that came from the prompt cache, to a tenth."""
        return percent(self.cache_read_tokens, self.prompt_tokens)


@dataclass(frozen=True, slots=True)
class UsageReport:
    """`total` is the sum of `lines`. Days come in order, everything else by cost, dearest first."""

    lines: tuple[UsageLine, ...]
    total: UsageLine


@dataclass(frozen=True, slots=True)
class LayerLine:
    """What one layer saved; negative where it cost more."""

    layer: str
    requests: int
    """Those it made a difference to."""
    saved_micros: Decimal
    estimated: int = 0
    """Of how many requests that is an estimate."""


def usage(
    database: Database,
    *,
    project: ProjectScope,
    by: Grouping,
    since: datetime | None = None,
    until: datetime | None = None,
) -> UsageReport:
    """Usage by day, model, project or client.

    Raises ValueError for a time without zone, LedgerUnavailableError when the database cannot be read.
    """
    key = requests.c.time_us // _DAY if by == "day" else requests.c[by]
    query = select(
        key.label("grouping"),
        func.count().label("requests"),
        _count(FAILED).label("errors"),
        _count(LEFT).label("cancelled"),
        _count(requests.c.estimated).label("estimated"),
        *(func.sum(requests.c[counter]).label(counter) for counter in _COUNTERS),
        *exact_sum(requests.c.cost_picos, "cost"),
        *exact_sum(requests.c.baseline_picos, "baseline"),
    ).group_by("grouping")
    with database.read() as connection:
        found = connection.execute(within(query, project, since, until)).mappings().all()
    lines = [
        UsageLine(
            key=moment_of(row["grouping"] * 86_400_000_000).date().isoformat() if by == "day" else row["grouping"],
            **{name: int(row[name]) for name in ("requests", "errors", "cancelled", "estimated", *_COUNTERS)},
            cost_micros=_micros(row, "cost"),
            baseline_micros=_micros(row, "baseline"),
        )
        for row in found
    ]
    lines.sort(key=lambda line: line.key if by == "day" else (-line.cost_micros, line.key))
    return UsageReport(tuple(lines), _total(lines))


def savings_by_layer(
    database: Database,
    *,
    project: ProjectScope,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[LayerLine, ...]:
    """What each layer saved, most first. The amounts sum to `saved_micros` of the same range's usage. Raises as
    `usage`.
    """
    query = (
        select(
            savings.c.layer,
            func.count().label("requests"),
            _count(requests.c.estimated).label("estimated"),
            *exact_sum(savings.c.picos, "saved"),
        )
        .join_from(requests, savings, requests.c.id == savings.c.request_id)
        .group_by(savings.c.layer)
    )
    with database.read() as connection:
        found = connection.execute(within(query, project, since, until)).mappings().all()
    lines = [LayerLine(row["layer"], row["requests"], _micros(row, "saved"), int(row["estimated"])) for row in found]
    return tuple(sorted(lines, key=lambda line: (-line.saved_micros, line.layer)))


def spent_by_day(database: Database, *, since: date) -> dict[tuple[str, date], Spent]:
    """By project and UTC day, from the beginning of the day `since` on: what budgets are checked against.

    For the gateway's own use, as every project is in it. Raises LedgerUnavailableError when it cannot be read.
    """
    day = requests.c.time_us // _DAY
    query = select(
        requests.c.project,
        day.label("day"),
        _count(requests.c.estimated).label("estimated"),
        *exact_sum(requests.c.cost_picos, "cost"),
    )
    first = datetime(since.year, since.month, since.day, tzinfo=UTC)
    with database.read() as connection:
        found = connection.execute(within(query, EVERY_PROJECT, first, None).group_by(requests.c.project, "day"))
        return {
            (row["project"], moment_of(row["day"] * 86_400_000_000).date()): Spent(
                picos_in(row, "cost"), bool(row["estimated"])
            )
            for row in found.mappings()
        }


def percent(part: Decimal | int, whole: Decimal | int) -> Decimal:
    """To a tenth; 0 of nothing."""
    return (Decimal(100) * part / whole).quantize(Decimal("0.1")) if whole else Decimal("0.0")


def within[Rows: Select[Any]](
    query: Rows, project: ProjectScope, since: datetime | None, until: datetime | None
) -> Rows:
    """Only requests of the project (or of every project) that came in the range. Raises ValueError for a naive time."""
    return query.where(
        true() if project is EVERY_PROJECT else requests.c.project == project,
        true() if since is None else requests.c.time_us >= microseconds_of(since),
        true() if until is None else requests.c.time_us < microseconds_of(until),
    )


_COUNTERS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "thinking_tokens",
)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(cast(condition, Integer))


def exact_sum(picos: Column[int], name: str) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Whole micro-dollars and the rest, each summed in 64 bits: SQLite's SUM fails above 9.2 million dollars otherwise.

    Both databases cut towards zero and give the rest the sign of the amount, so the halves always fit together.
    """
    return func.sum(picos // _MICRO).label(f"{name}_whole"), func.sum(picos % _MICRO).label(f"{name}_rest")


def picos_in(row: RowMapping, name: str) -> int:
    return int(row[f"{name}_whole"]) * PICOS_PER_MICRO + int(row[f"{name}_rest"])


def _micros(row: RowMapping, name: str) -> Decimal:
    return micros_of(picos_in(row, name))


def _total(lines: Iterable[UsageLine]) -> UsageLine:
    lines = list(lines)
    names = [field.name for field in fields(UsageLine) if field.name != "key"]
    sums = {
        name: sum((getattr(line, name) for line in lines), start=getattr(UsageLine("total"), name)) for name in names
    }
    return UsageLine("total", **sums)
