"""Sums over spans of time and over the buckets of a plot. Money in whole pico-dollars, times in epoch seconds (UTC).

Everything here blocks, and raises LedgerUnavailableError when the database cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, RowMapping, case, func, literal_column, select

from sidecar.exchange import Json
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT, FAILED, LEFT, exact_sum, picos_in, savings_by_layer, within
from sidecar.ledger.schema import requests

MICROSECONDS: Final = 1_000_000
DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Range:
    """A span that ends now, in buckets of a plot."""

    seconds: int
    bucket_seconds: int


RANGES: Final[Mapping[str, Range]] = {
    "5m": Range(300, 5),
    "15m": Range(900, 10),
    "1h": Range(3600, 60),
    "6h": Range(6 * 3600, 300),
    "24h": Range(DAY_SECONDS, 900),
    "7d": Range(7 * DAY_SECONDS, 2 * 3600),
    "30d": Range(30 * DAY_SECONDS, 12 * 3600),
}

COUNTERS: Final = ("input_tokens", "cache_read_tokens", "output_tokens", "removed_tokens", "retries")


def sum_of(database: Database, since: datetime, until: datetime | None = None) -> Json:
    """Of every project's requests in the span."""
    with database.read() as connection:
        [row] = connection.execute(within(select(*_SUMS), EVERY_PROJECT, since, until)).mappings().all()
    return _sum(row)


def by_day(database: Database, since: date) -> dict[date, Json]:
    """The sums of each UTC day that has requests, from `since` on."""
    first = datetime(since.year, since.month, since.day, tzinfo=UTC)
    bucket = _bucket(DAY_SECONDS)
    query = within(select(bucket.label("bucket"), *_SUMS).group_by("bucket"), EVERY_PROJECT, first, None)
    with database.read() as connection:
        found = connection.execute(query).mappings().all()
    return {datetime.fromtimestamp(row["bucket"] * DAY_SECONDS, UTC).date(): _sum(row) for row in found}


def added(sums: Sequence[Json]) -> Json:
    """Several sums as one."""
    return {name: sum(one[name] for one in sums) for name in _NAMES}


def series(database: Database, asked: Range, now: datetime) -> list[Json]:
    """Every bucket of the range, the last one not full yet."""
    size = asked.bucket_seconds
    last = int(now.timestamp()) // size
    first = last - asked.seconds // size + 1
    since = datetime.fromtimestamp(first * size, UTC)
    query = within(select(_bucket(size).label("bucket"), *_SUMS).group_by("bucket"), EVERY_PROJECT, since, None)
    with database.read() as connection:
        found = {row["bucket"]: _sum(row) for row in connection.execute(query).mappings().all()}
    empty = dict.fromkeys(_NAMES, 0)
    return [_point(bucket * size, found.get(bucket, empty)) for bucket in range(first, last + 1)]


def layers(database: Database, since: datetime) -> list[Json]:
    """What each layer saved since then, most first."""
    return [
        {
            "layer": line.layer,
            "saved_picos": int(line.saved_micros * 1_000_000),
            "requests": line.requests,
            "estimated": line.estimated,
        }
        for line in savings_by_layer(database, project=EVERY_PROJECT, since=since)
    ]


def models(database: Database, since: datetime) -> list[Json]:
    """Which models were asked for, which answered, and why: dearest first."""
    groups = (requests.c.model_requested, requests.c.model, requests.c.route_reason)
    query = within(select(*groups, *_SUMS).group_by(*groups), EVERY_PROJECT, since, None)
    with database.read() as connection:
        found = connection.execute(query).mappings().all()
    lines = [
        {
            "asked": row["model_requested"],
            "model": row["model"],
            "reason": row["route_reason"],
            **{name: value for name, value in _sum(row).items() if name in _OF_MODELS},
        }
        for row in found
    ]
    return sorted(lines, key=lambda line: (-line["cost_picos"], -line["requests"], line["asked"]))


class Days:
    """Today, the last seven days and this month. Days that are over are summed once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._over: dict[date, Json] = {}
        self._read_from: date | None = None

    def sums(self, today: date) -> dict[str, Json]:
        month, week = today.replace(day=1), today - timedelta(days=6)
        first = min(month, week)
        settled = today - timedelta(days=1)  # what came a second before midnight may be a second late
        known = self._read_from is not None and self._read_from <= first
        newest = max(self._over, default=first) if known else first
        found = by_day(self._database, min(newest + timedelta(days=1), settled) if known else first)
        self._over |= {day: one for day, one in found.items() if day < settled}
        self._read_from = first if not known else self._read_from
        days = self._over | found
        return {
            "today": added([one for day, one in days.items() if day == today]),
            "week": added([one for day, one in days.items() if day >= week]),
            "month": added([one for day, one in days.items() if day >= month]),
        }


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


_SUMS: Final[tuple[ColumnElement[Any], ...]] = (
    func.count().label("requests"),
    _count(FAILED).label("errors"),
    _count(LEFT).label("left"),
    _count(requests.c.estimated).label("estimated"),
    _count(requests.c.cache == "HIT").label("cache_hits"),
    *(func.sum(requests.c[counter]).label(counter) for counter in COUNTERS),
    func.sum(requests.c.cache_write_5m_tokens + requests.c.cache_write_1h_tokens).label("cache_write_tokens"),
    *exact_sum(requests.c.cost_picos, "cost"),
    *exact_sum(requests.c.baseline_picos, "baseline"),
)
_WHOLE: Final = ("requests", "errors", "left", "estimated", "cache_hits", *COUNTERS, "cache_write_tokens")
_OF_MODELS: Final = ("requests", "estimated", "cost_picos", "saved_picos")
_NAMES: Final = (*_WHOLE, "cost_picos", "baseline_picos", "saved_picos")


def _sum(row: RowMapping) -> Json:
    if not row["requests"]:
        return dict.fromkeys(_NAMES, 0)
    cost, baseline = picos_in(row, "cost"), picos_in(row, "baseline")
    whole = {name: int(row[name]) for name in _WHOLE}
    return {**whole, "cost_picos": cost, "baseline_picos": baseline, "saved_picos": baseline - cost}


def _point(moment: int, one: Json) -> Json:
    return {
        "time": moment,
        "requests": one["requests"],
        "sent_tokens": one["input_tokens"] + one["cache_write_tokens"],
        "read_tokens": one["cache_read_tokens"],
        "removed_tokens": one["removed_tokens"],
        "output_tokens": one["output_tokens"],
        "cost_picos": one["cost_picos"],
        "baseline_picos": one["baseline_picos"],
    }


def _bucket(seconds: int) -> ColumnElement[int]:
    """A literal, not a parameter: PostgreSQL must see the same text in SELECT and GROUP BY."""
    return requests.c.time_us // literal_column(str(seconds * MICROSECONDS), Integer)


def start_of(asked: Range, now: datetime) -> datetime:
    return now - timedelta(seconds=asked.seconds)
