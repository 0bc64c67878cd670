"""A PostgreSQL that goes away and comes back: rows wait at home meanwhile, and then move, each once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from sidecar.ledger.database import Database, LedgerUnavailableError
from sidecar.ledger.queries import EVERY_PROJECT, usage
from sidecar.ledger.writer import LedgerWriter
from tests.support.ledger_rows import row
from tests.support.servers import PostgresServer


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[PostgresServer]:
    """One to stop and start. The shared one is asked for as well, because it skips where there is none."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database(server: PostgresServer, new_schema: Callable[[str], str], tmp_path: Path) -> Iterator[Database]:
    database = Database.open(new_schema(server.url), tmp_path)
    yield database
    database.close()


def wait_until_well(writer: LedgerWriter) -> None:
    for _ in range(2000):
        if writer.health().ok and not writer.health().pending:
            return
        time.sleep(0.01)
    raise AssertionError(writer.health())


def test_rows_of_an_outage_arrive_once_it_is_over(database: Database, server: PostgresServer, tmp_path: Path) -> None:
    writer = LedgerWriter(database, tmp_path, interval=0.02, last_retry=0.1)
    writer.start()
    writer.add(row())
    assert writer.flush()
    server.stop()
    for _ in range(10):
        writer.add(row())
    assert not writer.flush()
    health = writer.health()
    assert (health.ok, health.in_journal, health.dropped) == (False, 10, 0)
    assert "postgresql" in health.last_error
    with pytest.raises(LedgerUnavailableError):
        usage(database, project=EVERY_PROJECT, by="day")
    server.start()
    wait_until_well(writer)
    writer.add(row())
    assert writer.close()
    total = usage(database, project=EVERY_PROJECT, by="day").total
    assert (total.requests, total.cost_micros) == (12, Decimal(12))


def test_a_gateway_may_start_while_it_is_away(database: Database, server: PostgresServer, tmp_path: Path) -> None:
    server.stop()
    writer = LedgerWriter(database, tmp_path, interval=0.02, last_retry=0.1)
    writer.start()
    writer.add(row())
    assert not writer.flush()
    assert writer.health().in_journal == 1
    server.start()
    wait_until_well(writer)
    assert writer.close()
    assert usage(database, project=EVERY_PROJECT, by="day").total.requests == 1
