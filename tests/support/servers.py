"""A real Redis and a real PostgreSQL on loopback, for the tests that share stores between gateways.

`redis_url` and `postgres_url` are one server each for the whole run (of one xdist worker), for tests that bring a key
prefix or schema of their own. A test about losing a server and getting it back starts its own:

    with RedisServer() as redis:
        redis.stop()
        redis.start()  # the same address, empty

Where a server is not installed, its tests are skipped with the command that installs it; with CI=true they fail.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

import psycopg
import pytest

from tests.support.ports import free_port

START_SECONDS = 120.0
STOP_SECONDS = 60.0

# Debian, Homebrew and the PostgreSQL project's own packages keep the server's programs off PATH.
POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
    "/usr/pgsql-*/bin",
)


class ServerMissingError(Exception):
    """The server's programs are not on this machine."""


class LoopbackServer:
    """A server process on a free loopback port, in a temporary folder of its own; both are gone after the block.

    `start` after `stop` listens on the same port again.
    """

    #: who may run it; only read where the tests are run by root
    unprivileged_user: ClassVar[str | None] = None

    def __init__(self) -> None:
        self.port = 0
        self.folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        raise NotImplementedError

    def command(self) -> list[str]:
        """The command line that serves on `port` in the foreground."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Puts into `folder` what must be there before the first start."""

    def answers(self) -> bool:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="cgw-server-"))
        try:
            self.give(self.folder)
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Returns once the server answers. At first start, a port that somebody else just took is exchanged."""
        ports = [self.port] if self.port else [free_port() for _ in range(5)]
        for self.port in ports:
            if self._serves():
                return
        raise RuntimeError(f"{type(self).__name__} does not start:\n{self._log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """Ends the server at once but in order; what clients had open is cut."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def give(self, path: Path) -> None:
        """Makes `path` the server's own, where it runs as another user."""
        if self._user is not None:
            shutil.chown(path, self._user)

    def run(self, command: list[str]) -> None:
        """One of the server's own tools, run as the server will be."""
        subprocess.run(
            command,
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=self._groups,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )

    def _serves(self) -> bool:
        with self._log.open("ab") as log:
            process = self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                user=self._user,
                group=self._user,
                extra_groups=self._groups,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self.answers():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    @property
    def _user(self) -> str | None:
        return self.unprivileged_user if sys.platform != "win32" and os.geteuid() == 0 else None

    @property
    def _groups(self) -> list[str] | None:
        return None if self._user is None else []


class RedisServer(LoopbackServer):
    def __init__(self) -> None:
        super().__init__()
        self._program = _program("redis-server")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        memory_only = ["--save", "", "--appendonly", "no"]
        return [self._program, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), *memory_only]

    def answers(self) -> bool:
        """Whether this very one does: another one at its port needs no password either."""
        if self._process is None:
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"INFO server\r\nQUIT\r\n")
                told = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:
            return False
        return f"process_id:{self._process.pid}\r\n".encode() in told


class PostgresServer(LoopbackServer):
    """Never runs as root, so that root's tests run it as the user that the packages make for it."""

    unprivileged_user = "postgres"

    def __init__(self) -> None:
        super().__init__()
        self._initdb = _program("initdb", *POSTGRES_FOLDERS)
        self._postgres = _program("postgres", *POSTGRES_FOLDERS)
        self._password = secrets.token_hex(8)

    @property
    def url(self) -> str:
        return f"postgresql://cgw:{self._password}@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        password = self.folder / "password"
        password.write_text(self._password)
        self.give(password)
        access = ["--username=cgw", f"--pwfile={password}", "--auth=scram-sha-256"]
        self.run([self._initdb, f"--pgdata={self._data}", *access, "--encoding=UTF8", "--no-locale", "--no-sync"])

    def command(self) -> list[str]:
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self._postgres, "-D", str(self._data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def _program(name: str, *folders: str) -> str:
    """The newest of the installed ones, PATH's first."""
    beside = (str(folder) for pattern in folders for folder in sorted(Path("/").glob(pattern[1:]), reverse=True))
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(beside))
    if found is None:
        raise ServerMissingError(name)
    return found


def _or_skip(server: type[LoopbackServer]) -> LoopbackServer:
    try:
        return server()
    except ServerMissingError as missing:
        message = f"{missing} is not installed; sh scripts/test-services.sh installs it or says how"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with _or_skip(RedisServer) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """As a user would write it; the user owns the database."""
    with _or_skip(PostgresServer) as server:
        yield server.url
