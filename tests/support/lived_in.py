"""A home in which a sidecar ran before: a ledger less to make for each of the hundreds that start in tests."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

from sidecar.home import Home
from sidecar.ledger.database import Database


def furnish(home: Home) -> None:
    """What a sidecar would put there itself, before any request. What is there stays."""
    if not home.ledger_file.exists():
        with os.fdopen(os.open(home.ledger_file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(_ledger())


@cache
def _ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(None, Path(folder))
        database.migrate()
        database.close()
        [ledger] = Path(folder).iterdir()  # closed well, it has no journal beside it
        return ledger.read_bytes()
