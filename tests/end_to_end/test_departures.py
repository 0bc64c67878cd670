"""A client that leaves ends the request at Claude's side, in every phase and on every route."""

import json
import socket
from collections.abc import Iterator

import pytest

from sidecar.simulator.answers import Answer, Failure
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.gates import AN_HOUR, Gate
from tests.support.sidecar import RunningSidecar
from tests.support.waiting import until

SLOW_HEAD = Answer("hello", first_byte_after=3600)
SILENT = Answer("many words " * 50, silent_after=6, silence=3600)


def request(gateway: RunningSidecar, path: str, *, streamed: bool) -> bytes:
    body = json.dumps(
        {
            "model": "claude-sonnet-5-5",
            "max_tokens": 900,
            "messages": [{"role": "user", "content": "hi"}],
            **({"stream": True} if streamed else {}),
        }
    ).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {gateway.key}\r\nAnthropic-Version: 2023-06-01\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


CHAT, NATIVE = "/v1/chat/completions", "/v1/messages"


@pytest.mark.parametrize(
    ("path", "phase", "answer", "streamed"),
    [
        (CHAT, "before the first byte", SLOW_HEAD, True),
        (CHAT, "in mid-stream", SILENT, True),
        (CHAT, "without streaming", SLOW_HEAD, False),
        (CHAT, "without streaming, in mid-answer", SILENT, False),
        (NATIVE, "before the first byte", SLOW_HEAD, True),
        (NATIVE, "in mid-stream", SILENT, True),
        (NATIVE, "without streaming", SLOW_HEAD, False),
    ],
)
def test_leaving_cancels_upstream(
    gateway: RunningSidecar, claude: Simulator, path: str, phase: str, answer: Answer, streamed: bool
) -> None:
    claude.script(answer)
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as client:
        client.sendall(request(gateway, path, streamed=streamed))
        if phase == "in mid-stream":
            hear(client, b"words")
        else:
            wait_until_sent(claude)
    [row] = claude.ledger.wait(1, timeout=30)
    assert row.cancelled is not None


def hear(client: socket.socket, *words: bytes) -> bytes:
    """All that came until these words had."""
    received = b""
    while any(received.count(word) < words.count(word) for word in words):
        received += (came := client.recv(65536))
        assert came, received
    return received


def wait_until_sent(claude: Simulator, count: int = 1) -> None:
    until(lambda: len(claude.ledger.messages) >= count, "the request")


@pytest.fixture(scope="module")
def pinging(tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path_factory.mktemp("pinging"), running_simulator, ping_seconds=0.1) as running:
        yield running


@pytest.mark.parametrize("path", [CHAT, NATIVE])
def test_a_silent_stream_is_kept_alive_before_and_after_its_first_byte(
    pinging: RunningSidecar, claude: Simulator, path: str
) -> None:
    for number, answer in enumerate((SLOW_HEAD, SILENT), start=1):
        claude.script(answer)
        with socket.create_connection(("127.0.0.1", int(pinging.url.rpartition(":")[2])), timeout=30) as client:
            client.sendall(request(pinging, path, streamed=True))
            received = hear(client, b": ping\n\n", b": ping\n\n")
            wait_until_sent(claude, number)
        assert received.startswith(b"HTTP/1.1 200")
    assert len(claude.ledger.wait(2, timeout=30)) == 2


@pytest.mark.parametrize("path", [CHAT, NATIVE])
def test_an_overload_after_a_ping_is_told_inside_the_stream(
    pinging: RunningSidecar, claude: Simulator, gate: Gate, path: str
) -> None:
    claude.script(Failure(529, after=AN_HOUR))
    with socket.create_connection(("127.0.0.1", int(pinging.url.rpartition(":")[2])), timeout=30) as client:
        client.sendall(request(pinging, path, streamed=True))
        received = hear(client, b": ping\n\n")
        gate.open()
        hear(client, b"verloaded")
    assert received.startswith(b"HTTP/1.1 200")
