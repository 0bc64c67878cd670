"""Where the ledger lies: a SQLite file in the home folder, or the PostgreSQL of `DATABASE_URL`. One code for both.

SQLite runs in WAL mode with synchronous=NORMAL: whatever was committed survives the death of the process, and a reader
(an export, `cgw usage`) never waits for the writer nor makes it wait.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from itertools import batched, chain
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sidecar.ledger import migrations, schema
from sidecar.ledger.rows import LedgerRow

FILE_NAME: Final = "ledger.sqlite3"
SQLITE_BUSY_SECONDS = 0.25
"""How long a write waits for another process's lock; after that the row is kept elsewhere and tried again."""
SQLITE_START_SECONDS = 5.0
"""How long the first use of a file waits while another gateway creates it or brings its schema up to date."""
POSTGRES_CONNECTION: Final[dict[str, str]] = {
    "connect_timeout": "3",
    "tcp_user_timeout": "3000",
    "application_name": "cgw",
}
"""libpq's options, where the URL does not say otherwise: a server that went silent is given up after three seconds."""
LOCK_TIMEOUT = "1s"
"""How long a write waits for a locked table of PostgreSQL."""
SCHEMA_LOCK = 0x6367_772D_6C65_6467
"""The key of PostgreSQL's advisory lock around a migration: "cgw-ledg"."""

ROWS: Final = 64
"""Of one statement in SQLite at most. For each statement the driver gives the interpreter away and takes it back, and
the event loop with it."""
PARAMETERS: Final = 999
"""Of one statement, that every SQLite takes (before 3.32 no more: RHEL 8 has 3.26)."""
_VALUES: Final = re.compile(r"(?<=VALUES )(\([?, ]+\))")

_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}


class LedgerUnavailableError(Exception):
    """The database cannot be reached, is locked, full or broken; the sentence says which."""


def database_url(url: str | None, home: Path) -> URL:
    """SQLite in `home` without a URL. Raises ValueError for a URL that is neither SQLite's nor PostgreSQL's."""
    if not url:
        return URL.create("sqlite", database=str(home / FILE_NAME))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("DATABASE_URL is not a URL, as in postgresql://user:password@host/database") from None
    driver = _DRIVERS.get(parsed.drivername.partition("+")[0])
    if driver is None:
        raise ValueError(
            f"DATABASE_URL begins with {parsed.drivername}://: the ledger knows postgresql:// and sqlite:///"
        )
    if driver == "sqlite" and not parsed.database:
        raise ValueError("DATABASE_URL names no file, as in sqlite:////home/me/ledger.sqlite3")
    return parsed.set(drivername=driver)


class Database:
    """The ledger's tables in one database. Opens nothing until it is first used; safe to use from any thread."""

    def __init__(self, url: URL) -> None:
        self.kind: Final[Literal["sqlite", "postgresql"]] = "sqlite" if url.drivername == "sqlite" else "postgresql"
        self.where: Final = url.render_as_string(hide_password=True)
        self._engine: Final = _sqlite_engine(url) if self.kind == "sqlite" else _postgres_engine(url)
        self._migrated = False
        self._closed = False
        self._migration = Lock()
        self._insert_request: Final = self._insertion(schema.requests)
        self._insert_saving: Final = self._insertion(schema.savings)

    @classmethod
    def open(cls, url: str | None, home: Path) -> Database:
        """The database of `DATABASE_URL`, or the file in the home folder. Raises ValueError for a URL of another
        kind.
        """
        return cls(database_url(url, home))

    def migrate(self) -> None:
        """Bring the schema up to date; once per object, so calling it again costs nothing.

        Raises SchemaTooNewError, LedgerUnavailableError.
        """
        with self._migration:
            if self._migrated:
                return
            with self._transaction(writes=False) as connection:  # so that a locked ledger can still be read
                self._migrated = migrations.is_current(connection)
            if self._migrated:
                return
            with self._transaction(writes=True, busy_seconds=SQLITE_START_SECONDS) as connection:
                if self.kind == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})
                migrations.upgrade(connection)
            self._migrated = True

    def write(self, rows: Sequence[LedgerRow]) -> int:
        """Store the rows in one transaction; how many were new. A row whose id is known already is ignored, savings
        and all.

        Raises LedgerUnavailableError, and then nothing was stored, and SchemaTooNewError.
        """
        if not rows:
            return 0
        self.migrate()
        by_id = {row.id: row for row in reversed(rows)}
        requests = schema.requests
        with self._transaction(writes=True) as connection:
            known = connection.execute(select(requests.c.id).where(requests.c.id.in_(list(by_id)))).scalars()
            for request_id in known.all():
                del by_id[request_id]
            new = list(reversed(by_id.values()))
            self._insert(connection, self._insert_request, requests, map(schema.request_record, new))
            saved = (record for row in new for record in schema.savings_records(row))
            self._insert(connection, self._insert_saving, schema.savings, saved)
        return len(new)

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """A connection whose changes are stored together at the end of the block, or none of them. Raises as `read`."""
        self.migrate()
        with self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for queries. Raises LedgerUnavailableError, SchemaTooNewError."""
        self.migrate()
        with self._transaction(writes=False) as connection:
            yield connection

    def close(self) -> None:
        """What a thread is still at work with is closed when it is done."""
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, writes: bool, busy_seconds: float = SQLITE_BUSY_SECONDS) -> Iterator[Connection]:
        try:
            if self.kind == "sqlite":
                _create_private(Path(self._engine.url.database or ""))
            options = {"writes": writes, "busy_seconds": busy_seconds}
            with self._engine.connect().execution_options(**options) as connection:
                try:
                    with connection.begin():
                        if writes and self.kind == "postgresql":
                            wait = text("SELECT set_config('lock_timeout', :limit, true)")
                            connection.execute(wait, {"limit": LOCK_TIMEOUT})
                        yield connection
                finally:
                    if self._closed and not connection.invalidated:
                        connection.detach()  # it would go back to a pool that nobody empties any more
        except (SQLAlchemyError, OSError) as error:
            raise self._unavailable(error) from error

    def _insertion(self, table: Table) -> str:
        insert: Any = import_module(f"sqlalchemy.dialects.{self.kind}").insert  # the other one is three megabytes
        return str(insert(table).on_conflict_do_nothing().compile(self._engine))

    def _insert(self, connection: Connection, statement: str, table: Table, records: Iterable[tuple[Any, ...]]) -> None:
        """By the driver itself: a third of the cost of SQLAlchemy's, and it runs beside the requests."""
        if self.kind == "sqlite":
            for some in batched(records, min(ROWS, PARAMETERS // len(table.columns))):
                connection.exec_driver_sql(_of_rows(statement, len(some)), (*chain.from_iterable(some),))
            return
        parameters = [dict(zip(table.columns.keys(), record, strict=True)) for record in records]
        if parameters:
            connection.exec_driver_sql(statement, parameters)

    def _unavailable(self, error: Exception) -> LedgerUnavailableError:
        cause = getattr(error, "orig", None) or error
        reason = next(iter(str(cause).strip().splitlines()), "") or type(cause).__name__
        return LedgerUnavailableError(f"the ledger in {self.where} cannot be used: {reason}")


@lru_cache(2 * ROWS)
def _of_rows(statement: str, rows: int) -> str:
    """The insertion of one row as one of so many."""
    before, one, behind = _VALUES.split(statement)
    return f"{before}{', '.join([one] * rows)}{behind}"


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the event below says when a transaction begins, not the driver
        _turn_on_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -512")  # KB: each connection has its own, and the system has the file

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {options['busy_seconds'] * 1000:.0f}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options["writes"] else "BEGIN")

    return engine


def _turn_on_wal(connection: sqlite3.Connection) -> None:
    """The mode is kept in the file, so only the first gateway changes it. SQLite refuses the change while anyone else
    has the file open in a transaction, without waiting as a write would.
    """
    deadline = time.monotonic() + SQLITE_START_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _postgres_engine(url: URL) -> Engine:
    options = {key: value for key, value in POSTGRES_CONNECTION.items() if key not in url.query}
    return create_engine(url, connect_args=options, pool_pre_ping=True, pool_size=2)


def _create_private(path: Path) -> None:
    """SQLite gives its side files the mode of the file itself."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
