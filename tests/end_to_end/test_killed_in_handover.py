"""Kill one of two processes while one takes the other's place: the other one goes on, and nothing is in its way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.commands.running import find
from sidecar.home import Home
from sidecar.simulator.server import RunningSimulator
from tests.end_to_end.test_restart import KEY, OURS, Gateway, running_stream, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets are handed on by Unix alone")

ADDON = """
import os, time
from pathlib import Path
from sidecar import uvicorn_server

uvicorn_server.DRAIN_SECONDS = uvicorn_server.LAST_WORDS_SECONDS = 0.5

here = Path(__file__).parent
(here / "starting").write_text(str(os.getpid()))
while (here / "wait").exists():
    time.sleep(0.02)


class Held:
    def request(self, exchange):
        pass
"""
"""Holds up whoever starts while the file `wait` is there."""


@pytest.fixture(scope="module")
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


def found(gateway: Gateway) -> int | None:
    """Whom `cgw status` and `cgw up` find."""
    running = find(Home(gateway.home))
    return None if running is None else running.pid


class Held:
    """A gateway whose successors can be held up while they start."""

    def __init__(self, folder: Path, claude: RunningSimulator) -> None:
        self.folder = folder
        (folder / "held.py").write_text(ADDON)
        settings = {
            "CGW_HOME": str(folder / "home"),
            "ANTHROPIC_BASE_URL": claude.url,
            "ANTHROPIC_API_KEY": claude.api_key,
            "GATEWAY_API_KEY": KEY,
            "ENABLE_RESPONSE_CACHE": "0",
        }
        environ = {name: value for name, value in os.environ.items() if name not in OURS} | settings
        words = ["up", "--headless", "--port=0", f"--addon={folder / 'held.py'}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", *words],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        found = re.search(r"http://\S+?:\d+", process.stdout.readline().decode())
        assert found is not None
        self.gateway = Gateway(process, found[0], folder / "home", environ, folder / "said")

    def successor(self) -> tuple[int, threading.Thread, list[int]]:
        """Its process, held up; who waits for the answer to the restart, and the status that comes."""
        (self.folder / "wait").touch()
        (self.folder / "starting").unlink()
        statuses: list[int] = []

        def ask() -> None:
            try:
                statuses.append(self.gateway.ask("POST", "/admin/restart").status_code)
            except Exception:  # noqa: BLE001  # whatever the client calls a connection that is cut
                statuses.append(0)

        asking = threading.Thread(target=ask)
        asking.start()
        wait_for(lambda: (self.folder / "starting").exists() and (self.folder / "starting").read_text() != "")
        return int((self.folder / "starting").read_text()), asking, statuses

    def go_on(self) -> None:
        (self.folder / "wait").unlink()


@pytest.fixture
def held(tmp_path: Path, claude: RunningSimulator) -> Iterator[Held]:
    held = Held(tmp_path, claude)
    yield held
    (tmp_path / "wait").unlink(missing_ok=True)
    if (orphan := found(held.gateway)) is not None:
        os.kill(orphan, signal.SIGKILL)
    held.gateway.process.kill()
    held.gateway.process.communicate()


def test_a_successor_that_is_killed_changes_nothing_and_leaves_nothing(held: Held, claude: RunningSimulator) -> None:
    gateway = held.gateway
    old = gateway.pid
    new, asking, statuses = held.successor()
    os.kill(new, signal.SIGKILL)
    asking.join(60)
    assert statuses == [500]
    assert gateway.pid == old
    held.go_on()

    with running_stream(gateway, claude) as whole:
        restarted = gateway.ask("POST", "/admin/restart")
        assert restarted.status_code == 200
        os.kill(restarted.json()["pid"], signal.SIGKILL)  # whom one asks now, both may still answer
        wait_for(lambda: found(gateway) is None)  # though the old one has an answer to end
        assert gateway.process.wait(60) != 0  # and no ten minutes for that: its supervisor waits to start another
        assert b"cgw was stopped" in whole()


def test_a_forerunner_that_is_killed_leaves_port_and_home_to_its_successor(held: Held) -> None:
    gateway = held.gateway
    new, asking, statuses = held.successor()
    gateway.process.kill()
    gateway.process.wait(60)
    asking.join(60)
    assert statuses == [0]
    held.go_on()
    assert gateway.pid == new  # whoever asked meanwhile waited at the same socket
    wait_for(lambda: found(gateway) == new)
