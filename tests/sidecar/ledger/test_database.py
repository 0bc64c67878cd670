"""What is written is read again, on both databases, once."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from sidecar.ledger import schema
from sidecar.ledger.database import Database, LedgerUnavailableError, database_url
from sidecar.ledger.rows import LedgerRow
from tests.support import thorough
from tests.support.ledger_rows import row, rows

shared_database = settings(suppress_health_check=thorough.ONE_FIXTURE, deadline=None, max_examples=50)


def stored(database: Database, request_id: str) -> LedgerRow:
    with database.read() as connection:
        record = connection.execute(select(schema.requests).where(schema.requests.c.id == request_id)).one()
        query = select(schema.savings.c.layer, schema.savings.c.picos).where(schema.savings.c.request_id == request_id)
        saved = {record.layer: record.picos for record in connection.execute(query)}
    return schema.row_of(record, saved)


@shared_database
@given(written=st.lists(rows(), max_size=5))
def test_any_row_comes_back_as_it_was_written(database: Database, written: list[LedgerRow]) -> None:
    assert database.write(written) == len(written)
    for one in written:
        assert stored(database, one.id) == one


def test_a_row_written_twice_is_there_once(database: Database) -> None:
    first, other = row(), row()
    assert database.write([first, first]) == 1
    assert database.write([first, other]) == 1
    with database.read() as connection:
        assert len(connection.execute(select(schema.requests.c.id)).all()) == 2


def test_the_first_row_of_an_id_stands_with_its_savings(database: Database) -> None:
    first = row(id="one", saved={"prompt_cache": Decimal(2)})
    second = row(id="one", cost_micros=Decimal(0), saved={"coalesce": Decimal(3)})
    database.write([first, second])
    database.write([second])
    assert stored(database, "one") == first


def test_more_rows_than_a_statement_has_parameters_fit_into_one_write(database: Database) -> None:
    many = [row() for _ in range(3000)]
    assert database.write(many) == 3000
    assert database.write(many) == 0


def test_an_older_sqlite_takes_fewer_parameters(tmp_path: Path) -> None:
    """Before 3.32 they were 999, as on RHEL 8."""
    database = Database.open(None, tmp_path)

    @event.listens_for(database._engine, "checkout")
    def bound(connection: Any, *_: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)

    assert database.write([row() for _ in range(200)]) == 200
    database.close()


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    database = Database.open(None, home)
    database.write([row()])
    with database.read():
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    database.close()
    assert modes == dict.fromkeys(["ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"], 0o600)


def test_a_connection_in_use_when_it_is_closed_is_closed_with_its_work(database: Database) -> None:
    with database.read() as connection:
        used = connection.connection.dbapi_connection
        assert used is not None
        database.close()
        connection.execute(select(schema.requests.c.id))
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        used.cursor()


def test_readers_do_not_stop_the_writer(open_database: Callable[[], Database]) -> None:
    reader, writer = open_database(), open_database()
    writer.write([row()])
    with reader.read() as connection:
        before = connection.execute(select(schema.requests.c.id)).all()
        assert writer.write([row()]) == 1
    assert len(before) == 1


def test_a_ledger_that_another_process_writes_to_can_be_read(tmp_path: Path) -> None:
    writer, reader = Database.open(None, tmp_path), Database.open(None, tmp_path)
    writer.write([row(id="one")])
    lock = sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    assert stored(reader, "one").id == "one"
    lock.close()
    writer.close()
    reader.close()


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgres://cgw:secret@db.example/team", "postgresql+psycopg"),
        ("postgresql://cgw:secret@db.example/team", "postgresql+psycopg"),
        ("postgresql+psycopg2://cgw:secret@db.example/team", "postgresql+psycopg"),
        ("sqlite:////var/lib/cgw/ledger.sqlite3", "sqlite"),
    ],
)
def test_urls_of_both_databases_are_understood(given: str, driver: str, tmp_path: Path) -> None:
    assert database_url(given, tmp_path).drivername == driver


def test_without_a_url_the_ledger_lies_in_the_home_folder(tmp_path: Path) -> None:
    assert database_url("", tmp_path) == database_url(None, tmp_path)
    assert database_url(None, tmp_path).database == str(tmp_path / "ledger.sqlite3")


@pytest.mark.parametrize("given", ["mysql://root@localhost/x", "not a url", "sqlite://", "redis://localhost"])
def test_any_other_url_is_refused_by_name(given: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL"):
        Database.open(given, tmp_path)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    database = Database.open("postgresql://cgw:secret@127.0.0.1:1/team", tmp_path)
    with pytest.raises(LedgerUnavailableError, match="team cannot be used") as refused:
        database.write([row()])
    database.close()
    assert "secret" not in str(refused.value)
    assert "secret" not in database.where


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"something else entirely" * 100)
    database = Database.open(None, tmp_path)
    with pytest.raises(LedgerUnavailableError, match=r"ledger\.sqlite3 cannot be used: file is not a database"):
        database.write([row()])
    database.close()


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    database = Database.open(None, tmp_path)
    database.write([row()])
    saboteur = sqlite3.connect(tmp_path / "ledger.sqlite3")
    saboteur.execute("ALTER TABLE ledger_savings RENAME TO elsewhere")
    with pytest.raises(LedgerUnavailableError, match="ledger_savings"):
        database.write([row()])
    saboteur.execute("ALTER TABLE elsewhere RENAME TO ledger_savings")
    saboteur.close()
    with database.read() as connection:
        assert len(connection.execute(select(schema.requests.c.id)).all()) == 1
    database.close()
