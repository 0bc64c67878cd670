"""A home in which a sidecar ran before: a ledger and a client of the SDK less to make for each of the hundreds of
sidecars that start in tests."""

from __future__ import annotations

import asyncio
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from sidecar.credentials import wire_headers
from sidecar.home import Home
from sidecar.ledger.database import Database


def furnish(home: Home) -> None:
    """What a sidecar would put there itself, before any request. What is there stays."""
    for place, made in ((home.ledger_file, _ledger), (home.sdk_headers_file, what_the_sdk_says)):
        if not place.exists():
            with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(made())


@cache
def _ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(None, Path(folder))
        database.migrate()
        database.close()
        [ledger] = Path(folder).iterdir()  # closed well, it has no journal beside it
        return ledger.read_bytes()


@cache
def what_the_sdk_says() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        remembered = Path(folder) / "headers.json"
        asking = wire_headers("any", "https://api.anthropic.com", remembered=remembered)
        with ThreadPoolExecutor(1) as another:  # a fixture that is a coroutine asks too, and its loop is running
            another.submit(asyncio.run, asking).result()
        return remembered.read_bytes()
