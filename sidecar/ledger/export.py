"""The ledger as a file: CSV for a spreadsheet, JSON lines for a program, Parquet for a data frame.

Any number of rows in constant memory. Money is US dollars in exact decimals (in JSON a number: read it as a decimal),
times are ISO 8601 in UTC. A layer that is not in `LAYERS` (a user's own addon) gets its column after the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, BinaryIO, Final, Literal, get_args

import orjson

from sidecar.ledger import parquet
from sidecar.ledger.columns import ExportColumn, ExportRange, Kind, Page
from sidecar.ledger.database import Database
from sidecar.ledger.money import usd_text
from sidecar.ledger.queries import ProjectScope

TextFormat = Literal["csv", "jsonl"]
Format = Literal["csv", "jsonl", "parquet"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_FIRST_DAY: Final = date(1970, 1, 1).toordinal()

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
        rows += len(page[0])
    return rows


def table(columns: Sequence[ExportColumn], records: list[tuple[Any, ...]], file_format: TextFormat) -> bytes:
    """A small table of other columns, in the same notation."""
    body = _BODIES[file_format](columns, list(zip(*records, strict=True))) if records else b""
    return _HEADS[file_format](columns) + body


def _counted(chosen: ExportRange, progress: Progress) -> Iterator[Page]:
    done = 0
    for page in chosen.pages():
        yield page
        done += len(page[0])
        progress(done, max(done, chosen.rows))


def _csv_head(columns: Sequence[ExportColumn]) -> bytes:
    return (",".join(column.name for column in columns) + "\r\n").encode()


def _csv_body(columns: Sequence[ExportColumn], page: Page) -> bytes:
    cells = [map(_CSV[column.kind], values) for column, values in zip(columns, page, strict=True)]
    lines = map(",".join, zip(*cells, strict=True))
    return ("\r\n".join(lines) + "\r\n").encode()


def _json_head(_columns: Sequence[ExportColumn]) -> bytes:
    return b""


def _json_body(columns: Sequence[ExportColumn], page: Page) -> bytes:
    names = [column.name for column in columns]
    members = [map(_JSON[column.kind], values) for column, values in zip(columns, page, strict=True)]
    lines = (orjson.dumps(dict(zip(names, record, strict=True))) for record in zip(*members, strict=True))
    return b"".join(line + b"\n" for line in lines)


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


_money_cell = lru_cache(maxsize=4096)(usd_text)
"""Most layers saved nothing in most requests."""


def _time_text(microseconds: int) -> str:
    days, rest = divmod(microseconds, 86_400_000_000)
    seconds, rest = divmod(rest, 1_000_000)
    return f"{_date_text(days)}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:06}Z"


@lru_cache(maxsize=512)
def _date_text(days: int) -> str:
    return date.fromordinal(_FIRST_DAY + days).isoformat()


def _milliseconds_text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


@lru_cache(maxsize=4096)
def _money_member(picos: int) -> orjson.Fragment:
    return orjson.Fragment(usd_text(picos))


_HEADS: Final[dict[Format, Callable[[Sequence[ExportColumn]], bytes]]] = {"csv": _csv_head, "jsonl": _json_head}
_BODIES: Final[dict[Format, Callable[[Sequence[ExportColumn], Page], bytes]]] = {
    "csv": _csv_body,
    "jsonl": _json_body,
}
_CSV: Final[dict[Kind, Callable[[Any], str]]] = {
    "time": _time_text,
    "text": _text_cell,
    "count": str,
    "money": _money_cell,
    "milliseconds": _milliseconds_text,
    "flag": {True: "true", False: "false"}.__getitem__,
}
_JSON: Final[dict[Kind, Callable[[Any], Any]]] = {
    "time": _time_text,
    "text": lambda value: value,
    "count": int,
    "money": _money_member,
    "milliseconds": lambda value: None if value is None else round(value, 3),
    "flag": bool,
}
