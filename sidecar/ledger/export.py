"""The ledger as a file: CSV for a spreadsheet, JSON lines for a program, Parquet for a data frame.

Any number of rows in constant memory. Money is US dollars in exact decimals (in JSON a number: read it as a decimal),
times are ISO 8601 in UTC. A layer that is not in `LAYERS` (a user's own addon) gets its column after the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, Final, Literal, get_args

import orjson

from sidecar.ledger import parquet
from sidecar.ledger.columns import ExportColumn, ExportRange, Kind
from sidecar.ledger.database import Database
from sidecar.ledger.money import usd_text
from sidecar.ledger.queries import ProjectScope
from sidecar.ledger.rows import moment_of

TextFormat = Literal["csv", "jsonl"]
Format = Literal["csv", "jsonl", "parquet"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
MEDIA_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}

Progress = Callable[[int, int], None]
"""Called with the rows written so far and the rows there are."""

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection")."""


def export(
    database: Database,
    out: BinaryIO,
    *,
    project: ProjectScope,
    file_format: Format,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the requests from `since` up to (not including) `until` into `out`, oldest first; how many they were.

    Raises ValueError for a time without zone, LedgerUnavailableError when the database cannot be read,
    ParquetMissingError when Parquet is asked for and pyarrow is not there.
    """
    if file_format == "parquet":
        parquet.require()
    chosen = ExportRange(database, project=project, since=since, until=until)
    pages = _counted(chosen, progress or (lambda _done, _all: None))
    if file_format == "parquet":
        return parquet.write(chosen.columns, pages, out)
    rows = 0
    out.write(_HEADS[file_format](chosen.columns))
    for page in pages:
        out.write(_BODIES[file_format](chosen.columns, page))
        rows += len(page)
    return rows


def stream(
    database: Database,
    *,
    project: ProjectScope,
    file_format: TextFormat,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[bytes]:
    """The same bytes in pieces, for an HTTP answer. What it raises is raised by the call, before the first piece."""
    chosen = ExportRange(database, project=project, since=since, until=until)
    head, body = _HEADS[file_format](chosen.columns), _BODIES[file_format]

    def pieces() -> Iterator[bytes]:
        yield head
        for page in chosen.pages():
            yield body(chosen.columns, page)

    return pieces()


def _counted(chosen: ExportRange, progress: Progress) -> Iterator[list[tuple[Any, ...]]]:
    done = 0
    for page in chosen.pages():
        yield page
        done += len(page)
        progress(done, max(done, chosen.rows))


def _csv_head(columns: Iterable[ExportColumn]) -> bytes:
    return (",".join(column.name for column in columns) + "\r\n").encode()


def _csv_body(columns: Iterable[ExportColumn], page: list[tuple[Any, ...]]) -> bytes:
    cells = [_CSV[column.kind] for column in columns]
    lines = [",".join([cell(value) for cell, value in zip(cells, record, strict=True)]) for record in page]
    return ("\r\n".join(lines) + "\r\n").encode()


def _json_head(_columns: Iterable[ExportColumn]) -> bytes:
    return b""


def _json_body(columns: Iterable[ExportColumn], page: list[tuple[Any, ...]]) -> bytes:
    members = [(column.name, _JSON[column.kind]) for column in columns]
    return b"".join(
        orjson.dumps({name: member(value) for (name, member), value in zip(members, record, strict=True)}) + b"\n"
        for record in page
    )


@lru_cache(maxsize=4096)
def _text_cell(text: str | None) -> str:
    """Never a formula; in quotes where a spreadsheet of any country would see a separator."""
    if not text:
        return ""
    if text.startswith(FORMULA_STARTS):
        text = "'" + text
    if any(mark in text for mark in ',;"\t\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def _time_text(microseconds: int) -> str:
    return moment_of(microseconds).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _milliseconds_text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


@lru_cache(maxsize=4096)
def _money_member(picos: int) -> orjson.Fragment:
    return orjson.Fragment(usd_text(picos))


_HEADS: Final[dict[Format, Callable[[Iterable[ExportColumn]], bytes]]] = {"csv": _csv_head, "jsonl": _json_head}
_BODIES: Final[dict[Format, Callable[[Iterable[ExportColumn], list[tuple[Any, ...]]], bytes]]] = {
    "csv": _csv_body,
    "jsonl": _json_body,
}
_CSV: Final[dict[Kind, Callable[[Any], str]]] = {
    "time": _time_text,
    "text": _text_cell,
    "count": str,
    "money": usd_text,
    "milliseconds": _milliseconds_text,
    "flag": lambda value: "true" if value else "false",
}
_JSON: Final[dict[Kind, Callable[[Any], Any]]] = {
    "time": _time_text,
    "text": lambda value: value,
    "count": int,
    "money": _money_member,
    "milliseconds": lambda value: None if value is None else round(value, 3),
    "flag": bool,
}
