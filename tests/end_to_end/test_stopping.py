"""A gateway that is told to end: what is being answered goes on, and what takes too long ends with a proper error."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from sidecar import uvicorn_server
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.gates import AN_HOUR, Gate
from tests.support.sidecar import RunningSidecar
from tests.support.waiting import until

NATIVE, CHAT = "/v1/messages", "/v1/chat/completions"
WORDS = "many words " * 40


@pytest.fixture
def ending(
    tmp_path: Path, running_simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningSidecar]:
    monkeypatch.setattr(uvicorn_server, "DRAIN_SECONDS", 0.5)
    with RunningSidecar(tmp_path, running_simulator) as sidecar:
        yield sidecar


def stop(sidecar: RunningSidecar) -> None:
    assert sidecar._server is not None
    sidecar._server.should_exit = True


def request(path: str, *, stream: bool) -> dict[str, object]:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 900,
        "stream": stream,
        "messages": [{"role": "user", "content": f"hello {path}"}],
    }


def client_of(sidecar: RunningSidecar) -> httpx2.Client:
    return httpx2.Client(base_url=sidecar.url, headers={"x-api-key": sidecar.key}, timeout=60)


def test_a_connection_that_came_last_is_still_heard(
    tmp_path: Path, running_simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a restart it would have been the successor's a moment later."""
    monkeypatch.setattr(uvicorn_server, "FIRST_REQUEST_SECONDS", 60)
    with RunningSidecar(tmp_path, running_simulator) as ending:
        address = urlsplit(ending.url)
        with socket.create_connection((address.hostname, address.port), timeout=60) as last:
            assert ending._server is not None
            until(lambda: ending._server.server_state.connections)
            stop(ending)
            until(lambda: not any(listening.is_serving() for listening in ending._server.servers), "its end")
            last.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert last.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", [NATIVE, CHAT])
def test_a_stream_that_takes_too_long_ends_with_an_error_of_its_dialect(
    ending: RunningSidecar, claude: Simulator, path: str
) -> None:
    claude.script(Answer(WORDS, silent_after=6, silence=3600))
    received = b""
    with client_of(ending) as client, client.stream("POST", path, json=request(path, stream=True)) as answer:
        for chunk in answer.iter_raw():
            received += chunk
            if b"words" in received:
                stop(ending)
    events = [line.removeprefix(b"data: ") for line in received.split(b"\n") if line.startswith(b"data: ")]
    told = json.loads(events[-1])
    assert "cgw was stopped" in told["error"]["message"]
    assert told["error"].get("code") == ("stopped" if path == CHAT else None)
    assert told.get("type") == (None if path == CHAT else "error")
    [row] = claude.ledger.wait(1, timeout=30)
    assert row.cancelled is not None


@pytest.mark.parametrize("path", [NATIVE, CHAT])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_what_has_not_begun_gets_a_status_and_when_to_come_back(
    ending: RunningSidecar, claude: Simulator, path: str, stream: bool
) -> None:
    claude.script(Answer("late", first_byte_after=3600))

    def stop_once_asked() -> None:
        until(lambda: claude.ledger.messages)
        stop(ending)

    threading.Thread(target=stop_once_asked).start()
    with client_of(ending) as client:
        answer = client.post(path, json=request(path, stream=stream))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "cgw was stopped" in answer.json()["error"]["message"]


def test_what_ends_in_time_is_whole_and_nobody_new_comes_in(
    ending: RunningSidecar, claude: Simulator, gate: Gate
) -> None:
    assert ending._server is not None
    ending._server.drain_seconds = 60
    claude.script(Answer(WORDS, silent_after=6, silence=AN_HOUR))
    listeners = list(ending._server.servers)
    received = b""
    with client_of(ending) as client, client.stream("POST", NATIVE, json=request(NATIVE, stream=True)) as answer:
        for chunk in answer.iter_raw():
            received += chunk
            if b"words" in received and not ending._server.should_exit:
                stop(ending)
                until(lambda: not any(listening.is_serving() for listening in listeners), "its end")
                gate.open()
    assert b"message_stop" in received
    with client_of(ending) as client, pytest.raises(httpx2.ConnectError):
        client.get("/health")
