"""What the ledger costs a request, how many rows a second it takes, and what an export of many rows needs.

    python benchmarks/ledger.py [--rows 1000000] [--database-url postgresql://...]

Without a URL it uses SQLite in a temporary folder; a PostgreSQL database should be an empty one. The exports run in
processes of their own, so that their peak memory is theirs alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any

from sidecar.ledger.database import Database
from sidecar.ledger.export import Format, export
from sidecar.ledger.parquet import ParquetMissingError, require
from sidecar.ledger.queries import EVERY_PROJECT, GROUPINGS, savings_by_layer, usage
from sidecar.ledger.rows import LedgerRow
from sidecar.ledger.writer import BATCH, LedgerWriter

START = datetime(2026, 11, 1, tzinfo=UTC)
REQUESTS = 20_000
"""For the figures of a single request."""


def request(number: int) -> dict[str, Any]:
    """The fields of a turn of an agent: three layers made a difference."""
    return {
        "id": f"req_{number:016x}",
        "time": START + timedelta(seconds=number),
        "project": f"project-{number % 7}",
        "client": ("cline", "aider", "continue")[number % 3],
        "dialect": "openai_chat",
        "conversation": f"{number // 40:032x}",
        "model_requested": "opus",
        "model": "claude-opus-5-5",
        "route_reason": "alias",
        "input_tokens": 12,
        "cache_read_tokens": 90_000 + number % 1000,
        "cache_write_5m_tokens": 2000 + number % 100,
        "output_tokens": 800,
        "thinking_tokens": 200,
        "cost_picos": 44_048_200_000 + number % 1000,
        "baseline_picos": 384_048_700_000 + number % 1000,
        "saved_picos": {"prompt_cache": 330_000_000_000, "diff_first": 10_000_600_000, "keep_warm": -100_000},
        "stop_reason": "tool_use",
        "ttft_ms": 812.25,
        "duration_ms": 9120.5,
        "overhead_ms": 0.31,
    }


def figure(what: str, value: str) -> None:
    print(f"| {what:<58} | {value:>16} |")


def microseconds_each(seconds: float, count: int) -> str:
    return f"{seconds / count * 1e6:,.2f} us"


def measure_requests(database: Database, home: Path) -> None:
    """On the request's own thread: making the row and adding it, while the writer works."""
    writer = LedgerWriter(database, home)
    writer.start()
    made, added = [], []
    begin = time.perf_counter()
    for number in range(REQUESTS):
        fields = request(number)
        start = time.perf_counter()
        row = LedgerRow(**fields)
        between = time.perf_counter()
        writer.add(row)
        added.append(time.perf_counter() - between)
        made.append(between - start)
        time.sleep(0)  # as an event loop lets go between requests
    writer.flush(60)
    whole = time.perf_counter() - begin
    writer.close()
    figure("make a row, median", microseconds_each(statistics.median(made), 1))
    figure("add it, median", microseconds_each(statistics.median(added), 1))
    figure("add it, 99th percentile", microseconds_each(statistics.quantiles(added, n=100)[98], 1))
    figure("rows a second, made, added and committed", f"{REQUESTS / whole:,.0f}")


def fill(database: Database, rows: int) -> None:
    seconds = cpu = 0.0
    for batch in batched(range(REQUESTS, REQUESTS + rows), BATCH):
        made = [LedgerRow(**request(number)) for number in batch]
        start, start_cpu = time.perf_counter(), time.process_time()
        database.write(made)
        seconds += time.perf_counter() - start
        cpu += time.process_time() - start_cpu
    figure(f"rows a second, committed by {BATCH:,}", f"{rows / seconds:,.0f}")
    figure("CPU of the commit, a row", microseconds_each(cpu, rows))


def measure_queries(database: Database) -> None:
    for by in GROUPINGS:
        with stopwatch(f"usage by {by}"):
            usage(database, project=EVERY_PROJECT, by=by)
    with stopwatch("usage by layer"):
        savings_by_layer(database, project=EVERY_PROJECT)


def measure_export(url: str | None, home: Path, file_format: Format, until: datetime) -> None:
    """In a process of its own."""
    database = Database.open(url, home)
    database.migrate()
    before = peak_memory()
    path = home / f"export.{file_format}"
    with path.open("wb") as out, stopwatch(file_format):
        rows = export(database, out, project=EVERY_PROJECT, file_format=file_format, until=until)
    database.close()
    figure(f"  of {rows:,} rows", f"{path.stat().st_size / 1e6:,.0f} MB")
    figure(f"  peak memory (before the export: {before:.0f} MB)", f"{peak_memory():.0f} MB")


@contextmanager
def stopwatch(what: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    figure(f"{what}: time", f"{time.perf_counter() - wall:.2f} s")
    figure(f"{what}: CPU", f"{time.process_time() - cpu:.2f} s")


def peak_memory() -> float:
    """Megabytes of this process. On Linux not by `getrusage`: its peak begins with that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def formats() -> Iterable[Format]:
    yield "csv"
    yield "jsonl"
    try:
        require()
    except ParquetMissingError as missing:
        figure("parquet", "not measured")
        print(missing)
    else:
        yield "parquet"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to export (default: a million)")
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: SQLite")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        database = Database.open(arguments.database_url, home)
        database.migrate()
        figure(database.kind, f"{arguments.rows:,} rows")
        measure_requests(database, home)
        fill(database, arguments.rows)
        measure_queries(database)
        database.close()
        for file_format in formats():
            for rows in (arguments.rows // 10, arguments.rows):
                until = START + timedelta(seconds=rows)
                job = (arguments.database_url, home, file_format, until)
                child = multiprocessing.get_context("spawn").Process(target=measure_export, args=job)
                child.start()
                child.join()


if __name__ == "__main__":
    main()
