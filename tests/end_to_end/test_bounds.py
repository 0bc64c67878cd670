"""Clients that send too much, too slowly or too often, on bare sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import orjson
import pytest

from sidecar import http_heads, intake, uvicorn_server
from sidecar.http_protocol import BoundedHttp
from sidecar.plain_http_protocol import BoundedH11
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.gates import AN_HOUR, Gate
from tests.support.sidecar import RunningSidecar
from tests.support.waiting import until

BODY = orjson.dumps({"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
SOON = 0.2


@pytest.fixture
def strict(tmp_path: Path, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path, running_simulator, max_in_flight=1) as sidecar:
        yield sidecar


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From this call on a head is given up soon. It comes as late as can be: whoever is to be heard has time before."""
    return lambda: monkeypatch.setattr(http_heads, "HEAD_SECONDS", SOON)


def connection(sidecar: RunningSidecar) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(sidecar.url.rpartition(":")[2])), timeout=30)


def head(sidecar: RunningSidecar, length: int = len(BODY)) -> bytes:
    return (
        f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {sidecar.key}\r\nContent-Length: {length}\r\n"
    ).encode()


def answer(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    try:
        while came := client.recv(65536):
            received += came
    except ConnectionResetError:
        pass
    return received


def is_well(client: socket.socket) -> bool:
    """Asks, and reads the whole answer."""
    client.sendall(HEALTH + b"\r\n")
    received = b""
    while not received.endswith(b"}"):
        received += (came := client.recv(65536))
        assert came, received
    return received.startswith(b"HTTP/1.1 200")


def test_a_head_that_does_not_end_is_given_up(strict: RunningSidecar, soon: Callable[[], None]) -> None:
    soon()
    with connection(strict) as client:
        client.sendall(head(strict))
        assert answer(client).startswith(b"HTTP/1.1 408")


def test_so_is_a_connection_on_which_nothing_is_asked(strict: RunningSidecar, soon: Callable[[], None]) -> None:
    soon()
    with connection(strict) as client:
        assert answer(client).startswith(b"HTTP/1.1 408")


def test_a_head_without_bounds_is_refused(strict: RunningSidecar) -> None:
    with connection(strict) as client:
        client.sendall(head(strict) + b"X-Endless: ")
        sent = 0
        try:
            while sent < 64 * 1024 * 1024:
                sent += client.send(b"x" * 65536)
        except OSError:
            pass
        assert sent < 64 * 1024 * 1024


def test_a_second_head_on_the_same_connection_is_bounded_too(strict: RunningSidecar, soon: Callable[[], None]) -> None:
    with connection(strict) as client:
        assert is_well(client)
        soon()
        client.sendall(head(strict))
        assert answer(client).startswith(b"HTTP/1.1 408")


def test_the_parser_that_is_always_there_has_the_same_bounds(
    tmp_path: Path, running_simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, soon: Callable[[], None]
) -> None:
    monkeypatch.setattr(uvicorn_server, "_http_protocol", lambda: BoundedH11)
    with RunningSidecar(tmp_path, running_simulator) as plain:
        with connection(plain) as client:
            client.sendall(HEALTH + b"X-Large: " + b"x" * (http_heads.HEAD_BYTES + 1))
            assert b" 400 " in answer(client)
        with connection(plain) as client:
            assert is_well(client)
            soon()
            client.sendall(head(plain))
            assert answer(client).startswith(b"HTTP/1.1 408")
        with connection(plain) as client:
            assert answer(client).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("parser", [BoundedHttp, BoundedH11])
def test_a_connection_is_kept_longer_than_any_client_keeps_one(
    tmp_path: Path, running_simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, parser: type[asyncio.Protocol]
) -> None:
    """Whoever ends it just as the other one takes it up again loses a request: five seconds, uvicorn's own, are what
    httpx keeps one, and Rust's reqwest does for ninety."""
    monkeypatch.setattr(uvicorn_server, "_http_protocol", lambda: parser)
    with RunningSidecar(tmp_path, running_simulator) as sidecar, connection(sidecar) as client:
        asked = time.monotonic()
        assert is_well(client)
        assert sidecar._server is not None
        [kept] = sidecar._server.server_state.connections
        ends = until(lambda: kept.timeout_keep_alive_task).when()  # type: ignore[union-attr]
        assert ends > asked + 90  # the loop's clock is this one
        assert kept._head_timer is None  # type: ignore[union-attr]


def test_a_body_that_does_not_go_on_is_given_up_with_a_sentence(
    strict: RunningSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BODY_SECONDS", SOON)
    with connection(strict) as client:
        client.sendall(head(strict) + b"Connection: close\r\n\r\n" + BODY[:10])
        received = answer(client)
    assert received.startswith(b"HTTP/1.1 408")
    assert b"Nothing of the request's body came" in received


def test_more_requests_at_a_time_than_allowed_are_told_to_come_back(
    strict: RunningSidecar, claude: Simulator, gate: Gate
) -> None:
    claude.script(Answer("at last", first_byte_after=AN_HOUR))
    with connection(strict) as first:
        first.sendall(head(strict) + b"Connection: close\r\n\r\n" + BODY)
        until(lambda: claude.ledger.messages)
        with connection(strict) as second:
            second.sendall(head(strict) + b"Connection: close\r\n\r\n" + BODY)
            refused = answer(second)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in refused.lower()
        assert b"MAX_IN_FLIGHT" in refused
        gate.open()
        assert b"at last" in answer(first)


def test_requests_that_are_still_coming_count_among_them(strict: RunningSidecar) -> None:
    with connection(strict) as first, connection(strict) as second:
        first.sendall(head(strict) + b"Expect: 100-continue\r\n\r\n")
        assert first.recv(65536).startswith(b"HTTP/1.1 100")  # its body is being read
        second.sendall(head(strict) + b"Connection: close\r\n\r\n" + BODY)
        assert answer(second).startswith(b"HTTP/1.1 503")


def test_no_complaint_is_written_into_an_answer(
    strict: RunningSidecar, claude: Simulator, gate: Gate, soon: Callable[[], None]
) -> None:
    claude.script(*[Answer("at last", first_byte_after=AN_HOUR)] * 2)
    with connection(strict) as client:
        client.sendall(head(strict) + b"\r\n" + BODY)
        until(lambda: claude.ledger.messages)
        client.sendall(b"no HTTP at all\r\n\r\n")
        assert b"HTTP/1.1 400" not in answer(client)
    claude.ledger.wait(1)  # there is room for one
    until(lambda: httpx2.get(f"{strict.url}/health").json()["in_flight"] == 0)
    with connection(strict) as client:
        client.sendall(head(strict) + b"\r\n" + BODY)
        until(lambda: len(claude.ledger.messages) == 2)
        soon()
        client.sendall(b"GET /hea")
        time.sleep(2 * SOON)  # it is due while the answer is
        gate.open()
        received = answer(client)
    assert received.startswith(b"HTTP/1.1 200")
    before, complaint, _ = received.partition(b"HTTP/1.1 408")
    assert complaint
    assert before.endswith(b"}")


def test_no_websocket_is_ever_opened(strict: RunningSidecar) -> None:
    with connection(strict) as client:
        client.sendall(
            b"GET /admin/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 401")
