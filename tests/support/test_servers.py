"""The servers that other tests lean on are real, are gone afterwards, and come back where they were."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support.servers import LoopbackServer, PostgresServer, RedisServer


def send_to_redis(url: str, *words: str) -> bytes:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(1024)


def test_redis_keeps_what_it_is_given(redis_url: str) -> None:
    assert send_to_redis(redis_url, "SET", "test-servers", "kept") == b"+OK\r\n"
    assert send_to_redis(redis_url, "GET", "test-servers") == b"$4\r\nkept\r\n"


def test_postgres_takes_tables_and_rows(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TEMPORARY TABLE calls (cost bigint)")
        connection.execute("INSERT INTO calls VALUES (40), (2)")
        assert connection.execute("SELECT sum(cost) FROM calls").fetchone() == (42,)


@pytest.mark.parametrize(("server", "fixture"), [(RedisServer, "redis_url"), (PostgresServer, "postgres_url")])
def test_a_server_comes_back_at_its_address_and_leaves_nothing_behind(
    server: type[LoopbackServer], fixture: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(fixture)  # skips where the server is not installed
    with server() as running:
        folder, url = running.folder, running.url
        running.stop()
        assert not running.answers()
        running.start()
        assert running.answers()
        assert running.url == url
    assert not running.answers()
    assert not Path(folder).exists()
