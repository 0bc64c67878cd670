"""What the dashboard's sums count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.config import Settings
from sidecar.ledger.database import Database
from sidecar.overview import sums
from sidecar.overview.conversations import conversations
from sidecar.overview.projects import projects
from sidecar.projects.project import Project
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


def test_every_sum_says_how_many_of_its_requests_are_estimated(database: Database) -> None:
    database.write([row(estimated=True, conversation="a", model="m"), row(conversation="a"), row(conversation="b")])
    assert sums.sum_of(database, NOON)["estimated"] == 1
    assert sums.by_day(database, NOON.date())[NOON.date()]["estimated"] == 1
    assert [line["estimated"] for line in sums.layers(database, NOON)] == [1]
    assert {line["model"]: line["estimated"] for line in sums.models(database, NOON)} == {"m": 1, "": 0}
    assert {one["conversation"]: one["estimated"] for one in conversations(database, 9)} == {"a": 1, "b": 0}
    [told] = projects(database, [Project(name="default")], Settings(), NOON.date())
    assert (told["estimated_today"], told["estimated_month"]) == (1, 1)
