"""A table as a CSV file in the folder where the dashboard was started."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for a formula; such text begins with an apostrophe, as in `cgw export`."""


def write(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, folder: Path | None = None) -> Path:
    """The file's path: `cgw-NAME-TIME.csv`, readable by its owner only. Raises OSError."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = (folder or Path.cwd()) / f"cgw-{name}-{moment}.csv"
    with path.open("x", encoding="utf-8", newline="") as file:
        path.chmod(0o600)
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([_safe(value) for value in row] for row in rows)
    return path


def _safe(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value
