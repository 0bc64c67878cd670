"""Parquet, where pyarrow is installed: it weighs more than the rest of cgw, so it is an extra."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

from sidecar.ledger.columns import ExportColumn, Kind, Page
from sidecar.ledger.rows import moment_of

ROW_GROUP = 50_000
"""Rows held in memory at a time; smaller groups make larger files."""


class ParquetMissingError(Exception):
    """pyarrow is not installed."""


def require() -> None:
    """Raises ParquetMissingError, with what to do about it."""
    _pyarrow("pyarrow")


def write(columns: Sequence[ExportColumn], pages: Iterable[Page], out: BinaryIO) -> int:
    """One Parquet file of all pages; how many rows it has. Money is decimal128, time a UTC timestamp of
    microseconds.
    """
    arrow, files = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    types: dict[Kind, Any] = {
        "time": arrow.timestamp("us", tz="UTC"),
        "text": arrow.string(),
        "count": arrow.int64(),
        "money": arrow.decimal128(38, 12),
        "milliseconds": arrow.float64(),
        "flag": arrow.bool_(),
    }
    fields = arrow.schema([(column.name, types[column.kind]) for column in columns])
    rows = 0
    with files.ParquetWriter(out, fields) as file:
        for group in _groups(pages):
            by_column = zip(columns, group, strict=True)
            arrays = [arrow.array(_values(column.kind, values), types[column.kind]) for column, values in by_column]
            file.write_table(arrow.Table.from_arrays(arrays, schema=fields))
            rows += len(group[0])
    return rows


def _groups(pages: Iterable[Page]) -> Iterator[list[list[Any]]]:
    """Pages joined to row groups, by column as they are."""
    group: list[list[Any]] = []
    for page in pages:
        if not group:
            group = [[] for _ in page]
        for column, values in zip(group, page, strict=True):
            column.extend(values)
        if len(group[0]) >= ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


def _values(kind: Kind, values: Iterable[Any]) -> list[Any]:
    match kind:
        case "time":
            return [moment_of(value) for value in values]
        case "money":
            return [Decimal(value).scaleb(-12) for value in values]
        case _:
            return list(values)


def _pyarrow(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ParquetMissingError("Parquet needs pyarrow: pip install 'cgw[parquet]', or choose csv or jsonl") from None
