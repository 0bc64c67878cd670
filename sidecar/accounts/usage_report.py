"""Usage as one table, for `cgw usage` and `/admin/usage`: the same rows, columns and words in every form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, get_args

import orjson

from sidecar.ledger.columns import ExportColumn
from sidecar.ledger.database import Database
from sidecar.ledger.export import table
from sidecar.ledger.money import PICOS_PER_MICRO
from sidecar.ledger.queries import (
    EVERY_PROJECT,
    Grouping,
    LayerLine,
    ProjectScope,
    UsageLine,
    UsageReport,
    savings_by_layer,
    usage,
)

By = Grouping | Literal["layer"]
GROUPINGS: Final[tuple[By, ...]] = (*get_args(Grouping), "layer")

_COUNTS: Final = (
    "requests",
    "errors",
    "cancelled",
    "estimated",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "thinking_tokens",
)
_MONEY: Final = ("cost", "baseline", "saved")


@dataclass(frozen=True, slots=True)
class UsageTable:
    """The usage of a span of time, by one grouping; `layers` says what each layer saved in it."""

    by: By
    project: ProjectScope
    since: datetime | None
    until: datetime | None
    usage: UsageReport
    layers: tuple[LayerLine, ...]

    def as_csv(self) -> bytes:
        """With a head line, without the total: a spreadsheet adds up by itself."""
        columns, records = self._table()
        return table(columns, records, "csv")

    def as_json(self) -> bytes:
        """One object. Amounts are exact decimal numbers in US dollars."""
        columns, records = self._table()
        lines = table(columns, records, "jsonl").splitlines()
        [total] = table(_USAGE_COLUMNS, [_record(self.usage.total)], "jsonl").splitlines()
        return orjson.dumps(
            {
                "by": self.by,
                "project": None if self.project is EVERY_PROJECT else self.project,
                "since": self.since,
                "until": self.until,
                "lines": [orjson.Fragment(line) for line in lines],
                "total": orjson.Fragment(total),
            },
            option=orjson.OPT_UTC_Z,
        )

    def _table(self) -> tuple[Sequence[ExportColumn], list[tuple[Any, ...]]]:
        if self.by == "layer":
            return _LAYER_COLUMNS, [(line.layer, line.requests, _picos(line.saved_micros)) for line in self.layers]
        columns = (ExportColumn(self.by, "text"), *_USAGE_COLUMNS)
        return columns, [(line.key, *_record(line)) for line in self.usage.lines]


def usage_table(
    database: Database,
    *,
    by: By,
    project: ProjectScope,
    since: datetime | None = None,
    until: datetime | None = None,
) -> UsageTable:
    """Blocks. Raises as `queries.usage`."""
    grouping: Grouping = "day" if by == "layer" else by
    return UsageTable(
        by,
        project,
        since,
        until,
        usage(database, project=project, by=grouping, since=since, until=until),
        savings_by_layer(database, project=project, since=since, until=until),
    )


_USAGE_COLUMNS: Final = (
    *(ExportColumn(name, "count") for name in _COUNTS),
    *(ExportColumn(f"{name}_usd", "money") for name in _MONEY),
)
_LAYER_COLUMNS: Final = (
    ExportColumn("layer", "text"),
    ExportColumn("requests", "count"),
    ExportColumn("saved_usd", "money"),
)


def _record(line: UsageLine) -> tuple[int, ...]:
    amounts: list[Decimal] = [getattr(line, f"{name}_micros") for name in _MONEY]
    return (*(getattr(line, name) for name in _COUNTS), *map(_picos, amounts))


def _picos(micros: Decimal) -> int:
    """Of a sum, which may be more than one row can hold."""
    return int(micros * PICOS_PER_MICRO)
