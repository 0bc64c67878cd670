"""No row is lost and no answer waits, whatever becomes of the database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from sidecar.ledger import writer as writer_module
from sidecar.ledger.database import Database, database_url
from sidecar.ledger.journal import Journal
from sidecar.ledger.queries import EVERY_PROJECT, usage
from sidecar.ledger.writer import LedgerWriter
from tests.support.ledger_rows import row

LOCK = {"sqlite": "BEGIN EXCLUSIVE", "postgresql": "LOCK TABLE ledger_requests IN ACCESS EXCLUSIVE MODE"}

Start = Callable[[Database], LedgerWriter]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts a writer that asks a lost database again soon; closed at the end."""
    started: list[LedgerWriter] = []

    def start_it(database: Database) -> LedgerWriter:
        started.append(LedgerWriter(database, home, interval=0.02, last_retry=0.1))
        started[-1].start()
        return started[-1]

    yield start_it
    for writer in started:
        writer.close()


def eventually(condition: Callable[[], Any]) -> None:
    """Waits for what happens on the writer's own thread."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def count(database: Database) -> int:
    return usage(database, project=EVERY_PROJECT, by="day").total.requests


class Locked:
    """Another connection that keeps the ledger to itself."""

    def __init__(self, url: str, home: Path) -> None:
        self._engine = create_engine(database_url(url, home))
        self._connection = self._engine.connect()
        if self._engine.dialect.name == "sqlite":
            driver = self._connection.connection.driver_connection
            assert driver is not None
            driver.isolation_level = None
        self._connection.execute(text(LOCK[self._engine.dialect.name]))

    def release(self) -> None:
        self._connection.rollback()
        self._connection.invalidate()
        self._engine.dispose()


def test_rows_arrive_without_being_waited_for(database: Database, start: Start) -> None:
    writer = start(database)
    for _ in range(3):
        writer.add(row())
    eventually(lambda: writer.health().written == 3)
    assert count(database) == 3
    assert writer.health().ok


def test_a_flush_returns_when_the_rows_are_there(database: Database, start: Start) -> None:
    writer = start(database)
    for _ in range(2500):
        writer.add(row())
    assert writer.flush()
    assert count(database) == 2500
    assert writer.health().pending == 0


def test_rows_of_many_threads_all_arrive(database: Database, start: Start) -> None:
    writer = start(database)

    def work() -> None:
        for _ in range(200):
            writer.add(row())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush()
    assert count(database) == 800


def test_closing_stores_what_was_added(database: Database, start: Start) -> None:
    writer = start(database)
    writer.add(row())
    assert writer.close()
    assert count(database) == 1


def test_a_row_added_twice_is_written_once(database: Database, start: Start) -> None:
    writer = start(database)
    twice = row()
    writer.add(twice)
    assert writer.flush()
    writer.add(twice)
    assert writer.flush()
    assert (count(database), writer.health().written) == (1, 1)


def test_a_locked_database_is_shown_and_waited_for(
    database: Database, start: Start, url: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database.migrate()
    lock = Locked(url, home)
    writer = start(database)
    with caplog.at_level(logging.WARNING):
        writer.add(row())
        eventually(lambda: writer.health().in_journal == 1)
        writer.add(row())
        eventually(lambda: writer.health().in_journal == 2)
        assert not writer.flush()
        health = writer.health()
        assert not health.ok
        assert "lock" in health.last_error
        assert health.pending == 2
        lock.release()
        eventually(lambda: writer.health().ok)
    assert writer.flush()
    assert count(database) == 2
    assert (writer.health().pending, writer.health().dropped, writer.health().last_error) == (0, 0, "")
    assert len([one for one in caplog.messages if "their rows wait" in one]) == 1
    assert "takes rows again" in caplog.text


def test_rows_that_wait_when_the_process_ends_are_written_by_the_next_one(
    open_database: Callable[[], Database], start: Start, url: str, home: Path
) -> None:
    database = open_database()
    database.migrate()
    lock = Locked(url, home)
    first = start(database)
    for _ in range(5):
        first.add(row())
    assert not first.close()
    lock.release()
    second = start(open_database())
    eventually(lambda: second.health().written == 5)
    assert count(database) == 5
    assert second.health().pending == 0


def test_a_long_journal_is_moved_while_new_rows_keep_coming(database: Database, start: Start, home: Path) -> None:
    journal = Journal.open(home)
    journal.append([row() for _ in range(2 * writer_module.BATCH + 1)])
    journal.close()
    writer = start(database)
    writer.add(row())
    assert writer.flush()
    assert count(database) == 2 * writer_module.BATCH + 2
    assert writer.health().pending == 0


def test_rows_already_moved_when_the_process_died_are_not_moved_again(
    database: Database, start: Start, home: Path
) -> None:
    moved, waiting = row(), row()
    database.write([moved])
    journal = Journal.open(home)
    journal.append([moved, waiting])
    journal.close()
    writer = start(database)
    assert writer.flush()
    assert count(database) == 2
    assert usage(database, project="default", by="day").total.cost_micros == Decimal(2)


def test_an_unreadable_line_in_the_journal_is_counted_as_dropped(database: Database, start: Start, home: Path) -> None:
    journal = Journal.open(home)
    journal.append([row()])
    path = journal.path
    journal.close()
    path.write_bytes(b"rust\n" + path.read_bytes())
    writer = start(database)
    assert writer.flush()
    assert (writer.health().written, writer.health().dropped, writer.health().ok) == (1, 1, False)


def test_without_database_and_disk_rows_wait_in_memory_and_then_are_dropped_and_counted(
    start: Start, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MOST_IN_MEMORY", 10)
    home.write_text("a file where the folder should be")
    database = Database.open(None, home)
    writer = start(database)
    for _ in range(12):
        writer.add(row())
    assert not writer.flush()
    health = writer.health()
    assert (health.ok, health.in_memory, health.dropped) == (False, 10, 2)
    assert "ledger.sqlite3 cannot be used" in health.last_error
    assert "nor does the journal" in health.last_error
    home.unlink()
    assert writer.flush()
    health = writer.health()
    assert (health.written, health.in_memory, health.dropped, health.ok) == (10, 0, 2, False)
    database.close()
