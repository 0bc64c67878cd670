"""The tables, and how a row lies in them.

- Both databases store the same integers: time as microseconds since 1970 (UTC), money as pico-dollars (see `money`).
- Savings are a child table, one line per layer that saved or cost something, and not a column a layer: most requests
  touch one to three layers of a dozen; a new layer, also one of a user's own addon, needs no migration; and on a
  shared PostgreSQL an older cgw still shows and sums the layers of a newer one. `export` turns them into columns.
- The names start with `ledger_` or `cgw_`, because a team's PostgreSQL may hold other things.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, MetaData, Table, Text, false

from sidecar.ledger.rows import LedgerRow, microseconds_of, moment_of

metadata = MetaData()

ByteOrderedText = Text().with_variant(Text(collation="C"), "postgresql")
"""Sorted by code point, as SQLite does, whatever the server's locale: a page of an export ends where the next
begins.
"""

requests = Table(
    "ledger_requests",
    metadata,
    Column("id", ByteOrderedText, primary_key=True),
    Column("time_us", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("conversation", Text, nullable=False),
    Column("model_requested", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("route_reason", Text, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("thinking_tokens", BigInteger, nullable=False),
    Column("cost_picos", BigInteger, nullable=False),
    Column("baseline_picos", BigInteger, nullable=False),
    Column("cache", Text, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("stop_reason", Text),
    Column("ttft_ms", Double),
    Column("duration_ms", Double),
    Column("overhead_ms", Double),
    Column("retries", BigInteger, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("error_class", Text),
    Column("holdout", Boolean, nullable=False, server_default=false()),
    Column("cache_miss", Text),
    Column("removed_tokens", BigInteger, nullable=False, server_default="0"),
    Column("miss_cause", Text),
    Column("miss_ours", Boolean, nullable=False, server_default=false()),
    Column("miss_tokens", BigInteger, nullable=False, server_default="0"),
    Column("miss_picos", BigInteger, nullable=False, server_default="0"),
    Column("route", Text),
    Column("via", Text, nullable=False, server_default="base_url"),
    Index("ledger_requests_by_time", "time_us", "id"),
    Index("ledger_requests_by_project", "project", "time_us", "id"),
    Index("ledger_requests_by_conversation", "conversation", "time_us"),
)

savings = Table(
    "ledger_savings",
    metadata,
    Column("request_id", ByteOrderedText, primary_key=True),
    Column("layer", Text, primary_key=True),
    Column("picos", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

projects = Table(
    "cgw_projects",
    metadata,
    Column("name", ByteOrderedText, primary_key=True),
    Column("rpm", BigInteger),
    Column("tpm", BigInteger),
    Column("daily_budget", BigInteger),
    Column("monthly_budget", BigInteger),
    Column("warn_percent", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("key_sha256", Text, unique=True),
    Column("key_last4", Text),
)
"""Kept by `sidecar.projects.store`. Budgets in micro-dollars, the policy as JSON."""

_COLUMNS = tuple(column.name for column in requests.columns)
_TIME = _COLUMNS.index("time_us")
_fields_of = attrgetter(*("time" if name == "time_us" else name for name in _COLUMNS))


def request_record(row: LedgerRow) -> tuple[Any, ...]:
    """The row in the order of the columns of `requests`."""
    fields: tuple[Any, ...] = _fields_of(row)
    return (*fields[:_TIME], microseconds_of(row.time), *fields[_TIME + 1 :])


def savings_records(row: LedgerRow) -> list[tuple[str, str, int]]:
    return [(row.id, layer, picos) for layer, picos in row.saved_picos.items()]


def row_of(record: Iterable[Any], saved: Mapping[str, int]) -> LedgerRow:
    """The row again, from a record of `requests` and the pico-dollars by layer."""
    fields: dict[str, Any] = dict(zip(_COLUMNS, record, strict=True))
    return LedgerRow(
        time=moment_of(fields.pop("time_us")),
        saved_picos=saved,
        **fields,
    )
