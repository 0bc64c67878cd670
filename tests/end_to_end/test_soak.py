"""After all that clients do, nothing is left of them; and whoever does not read makes nothing grow.

`benchmarks/soak.py` is the long one.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2
import orjson
import pytest

from sidecar.call import Call
from sidecar.simulator.answers import Answer, Failure, Raw
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.events import block_start, sse, text_delta
from tests.support.in_process import MESSAGE
from tests.support.sidecar import RunningSidecar

NATIVE, CHAT = "/v1/messages", "/v1/chat/completions"
ROUNDS = 12
CLIENTS = 4

BLOCK = text_delta("x" * 16_000).raw
BLOCKS = 3_000
OFFERED = BLOCKS * len(BLOCK)
TAPE = 200_000
BUFFERED_BY_THE_SYSTEM = 16 * 2**20
"""What two loopback connections may hold between them."""


def body_of(words: str, *, stream: bool) -> bytes:
    return orjson.dumps(
        {"model": "sonnet", "max_tokens": 900, "stream": stream, "messages": [{"role": "user", "content": words}]}
    )


def a_session(gateway: RunningSidecar, number: int) -> None:
    """What one client does: answers of each kind, one that it does not wait for, and errors."""
    with httpx2.Client(base_url=gateway.url, headers={"x-api-key": gateway.key}, timeout=60) as client:
        for turn in range(ROUNDS):
            path = (NATIVE, CHAT)[turn % 2]
            client.post(path, content=body_of(f"{number}.{turn}", stream=turn % 3 > 0))
            with client.stream("POST", path, content=body_of(f"left {number}.{turn}", stream=True)) as answer:
                next(answer.iter_raw(), None)
            client.post(path, content=b"{nope")


def sockets() -> int:
    """Of this process, which is client, gateway and Claude."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found += str(descriptor.readlink()).startswith("socket:")
    return found


def comes_true(condition: Callable[[], bool]) -> bool:
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts what /proc tells")
def test_no_task_and_no_socket_is_left_of_clients_that_are_gone(
    gateway: RunningSidecar, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with httpx2.Client(base_url=gateway.url, headers={"x-api-key": gateway.key}, timeout=60) as client:
        client.post(NATIVE, content=body_of("the first one", stream=False))
    assert comes_true(lambda: not any("ask Claude" in name for name in gateway.tasks()))
    time.sleep(0.3)
    tasks, open_sockets = gateway.tasks(), sockets()
    long, lost = Answer("many words " * 20, delta_chars=5), Raw(ending="reset")
    claude.script(*[step for _ in range(ROUNDS * CLIENTS) for step in (long, Failure(529), lost, long)])
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda number: a_session(gateway, number), range(CLIENTS)))
    claude.scripted.clear()
    assert len(claude.ledger.messages) >= ROUNDS * CLIENTS * 2
    assert comes_true(lambda: not Counter(gateway.tasks()) - Counter(tasks)), gateway.tasks()
    # Connections to Claude are kept for whoever comes next; never more than were needed at one time.
    assert comes_true(lambda: sockets() <= open_sockets + 2 * 2 * CLIENTS), sockets()
    health = httpx2.get(f"{gateway.url}/health", timeout=60).json()
    assert health["in_flight"] == 0


class Firehose:
    """A Claude that never stops talking, and counts what it got rid of."""

    def __init__(self) -> None:
        self.sent = 0
        self.calls = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += (came := connection.recv(65536))
                if not came:  # it was only opened, to be warm
                    return
            if not head.startswith(b"POST /v1/messages "):
                return
            self.calls += 1
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
                connection.sendall(sse("message_start", message=MESSAGE).raw + block_start("text").raw)
                for _ in range(BLOCKS):
                    connection.sendall(BLOCK)
                    self.sent += len(BLOCK)
            except OSError:
                return

    def stands_still(self) -> bool:
        """Whether it gets rid of nothing more."""
        before = self.sent
        time.sleep(0.5)
        return bool(before) and self.sent == before


@pytest.fixture
def firehose(monkeypatch: pytest.MonkeyPatch) -> Iterator[Firehose]:
    monkeypatch.setitem(Call.__init__.__kwdefaults__, "tape_bytes", TAPE)  # type: ignore[arg-type]
    firehose = Firehose()
    yield firehose
    firehose.close()


def stalled(gateway: RunningSidecar, path: str) -> socket.socket:
    """A client that asks and then reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.connect(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
    body = body_of("endless", stream=True)
    client.sendall(
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (path.encode(), gateway.key.encode(), len(body), body)
    )
    return client


@pytest.mark.parametrize("readers", [1, 3], ids=["one", "three-that-share-an-answer"])
@pytest.mark.parametrize("path", [NATIVE, CHAT])
def test_while_nobody_reads_claude_waits_and_nothing_grows(
    tmp_path: Path, firehose: Firehose, path: str, readers: int
) -> None:
    with RunningSidecar(tmp_path, firehose.url, enable_response_cache=readers > 1, cache_ttl_seconds=0) as gateway:
        clients = [stalled(gateway, path) for _ in range(readers)]
        assert comes_true(firehose.stands_still)
        assert 1 <= firehose.calls <= readers
        assert firehose.sent < firehose.calls * (TAPE + BUFFERED_BY_THE_SYSTEM) < firehose.calls * OFFERED
        for client in clients:
            client.close()
        assert comes_true(lambda: not any("ask Claude" in name for name in gateway.tasks()))


def test_a_client_that_never_reads_does_not_keep_a_gateway_from_ending(tmp_path: Path, firehose: Firehose) -> None:
    with RunningSidecar(tmp_path, firehose.url) as gateway:
        client = stalled(gateway, NATIVE)
        assert comes_true(firehose.stands_still)
        assert gateway._server is not None
        gateway._server.drain_seconds = 0
    client.close()
