"""Both databases, really: every test that takes `database` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sidecar.ledger.database import Database


@pytest.fixture
def new_schema() -> Callable[[str], str]:
    """Makes an empty schema on a PostgreSQL and gives its URL: as good as a database of its own, and made faster."""

    def make(server_url: str) -> str:
        name = f"ledger_{uuid.uuid4().hex}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{server_url}?options=-csearch_path%3D{name}"

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, new_schema: Callable[[str], str]) -> str:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    return new_schema(request.getfixturevalue("postgres_url"))


@pytest.fixture
def other_url(url: str, request: pytest.FixtureRequest, tmp_path: Path, new_schema: Callable[[str], str]) -> str:
    """Of a second empty database of the same kind."""
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'other.sqlite3'}"
    return new_schema(request.getfixturevalue("postgres_url"))


@pytest.fixture
def open_database(url: str, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Opens the same database anew, as another process would."""
    opened: list[Database] = []

    def open_it() -> Database:
        opened.append(Database.open(url, tmp_path))
        return opened[-1]

    yield open_it
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    return open_database()
