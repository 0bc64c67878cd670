"""What the dashboard's sums count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.ledger.database import Database
from sidecar.overview import sums
from tests.support.ledger_rows import NOON, row


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite3'}", tmp_path)
    yield opened
    opened.close()


def test_a_client_that_left_is_no_error(database: Database) -> None:
    database.write([row(), row(status=529), row(status=499, cancelled=True), row(status=200, cancelled=True)])
    found = sums.sum_of(database, NOON)
    assert (found["requests"], found["errors"], found["left"]) == (4, 1, 2)
