"""Both databases, really: every test that takes `database` runs on SQLite and on a PostgreSQL of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sidecar.ledger.database import Database

INSTALL = "apt-get install -y postgresql"
SWITCHES = ("fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=40")


class PostgresServer:
    """A PostgreSQL on a free loopback port, with a folder of its own; it can be stopped and started again."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="cgw-postgres-"))
        self._account = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        if self._account:
            shutil.chown(self._folder, self._account)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        options = ("--auth=trust", "--username=cgw", "--encoding=UTF8", "--no-sync", "--locale=C.UTF-8")
        initdb = self._command("initdb", *options, "--pgdata", str(self._folder / "cluster"))
        subprocess.run(initdb, check=True, capture_output=True, user=self._account, cwd=self._folder)
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()

    def start(self) -> None:
        switches = [part for switch in SWITCHES for part in ("-c", switch)]
        command = self._command("postgres", "-D", str(self._folder / "cluster"), "-p", str(self.port), *switches)
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, user=self._account, cwd=self._folder)
        for _ in range(600):
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError((self._folder / "log").read_text())

    def stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # "fast": open transactions are rolled back
            self._server.wait(30)
            self._server = None

    @property
    def url(self) -> str:
        return f"postgresql://cgw@127.0.0.1:{self.port}/postgres"

    def new_database(self) -> str:
        """The URL of an empty schema: as good as a database of its own, and a hundred times as fast to make."""
        name = f"ledger_{next(self._numbers)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.url}?options=-csearch_path%3D{name}"

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(self._binaries / program), *arguments]


def _postgres_binaries() -> Path | None:
    on_path = shutil.which("postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return Path(on_path).parent if on_path else debian[-1].parent if debian else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    binaries = _postgres_binaries()
    if binaries is None:
        sentence = f"NOT TESTED: the ledger on PostgreSQL, which is not installed here. To run it: {INSTALL}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.new_database()


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
