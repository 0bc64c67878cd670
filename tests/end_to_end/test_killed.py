"""A whole gateway, killed in the middle of its work: what it had accounted for a second ago is there, and is right."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from sidecar.config import Settings, environment_name
from sidecar.simulator.server import RunningSimulator
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a kill that cannot be caught is a signal of Unix")

OURS = frozenset(name for field in Settings.model_fields if (name := environment_name(field)))
KEY = "cgw-key-of-the-tests"
CLIENTS = 3
SETTLED = 30
"""Requests that must have been answered, and stored, before it is killed."""
QUESTION = {"model": "sonnet", "messages": [{"role": "user", "content": "hello"}]}


@contextmanager
def running(home: Path, claude: RunningSimulator) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`cgw up --headless`, and its URL."""
    settings = {
        "CGW_HOME": str(home),
        "CGW_PORT": "0",
        "ANTHROPIC_BASE_URL": claude.url,
        "ANTHROPIC_API_KEY": claude.api_key,
        "GATEWAY_API_KEY": KEY,
        "RATE_LIMIT_ENABLED": "0",
        "ENABLE_RESPONSE_CACHE": "0",
    }
    environ = {name: value for name, value in os.environ.items() if name not in OURS} | settings
    command = [sys.executable, "-m", "sidecar", "up", "--headless"]
    with (
        (home.parent / "errors").open("wb") as errors,
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+?:\d+", process.stdout.readline().decode())
            assert found is not None
            yield process, found[0]
        finally:
            process.kill()


def keep_asking(url: str, answered: list[str]) -> None:
    """Until the gateway is gone; the ids of its complete answers, in order."""
    headers = {"authorization": f"Bearer {KEY}"}
    with suppress(httpx2.HTTPError), httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
        for number in range(10**6):
            answer = client.post("/v1/chat/completions", json={**QUESTION, "stream": number % 2 == 0})
            answered.append(answer.headers["x-request-id"])


def wait_until(answered: list[str], count: int) -> list[str]:
    until(lambda: len(answered) >= count, f"the answer {count}")
    return list(answered)


def ledger_open(url: str) -> bool:
    state: str = httpx2.get(f"{url}/health", timeout=60).json()["ledger"]["state"]
    return state == "ok"


def stored(home: Path) -> dict[str, int]:
    """Pico-dollars by request, from a database that must be sound."""
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT id, cost_picos FROM ledger_requests"))


def test_a_killed_gateway_loses_at_most_its_last_second(tmp_path: Path) -> None:
    home = tmp_path / "home"
    answered: list[str] = []
    with RunningSimulator() as claude:
        with running(home, claude) as (gateway, url):
            clients = [threading.Thread(target=keep_asking, args=(url, answered)) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            wait_until(answered, 1)
            until(lambda: ledger_open(url))
            settled = wait_until(answered, SETTLED)
            until(lambda: set(settled) <= set(stored(home)))  # others go on arriving
            gateway.kill()
            gateway.wait()
            for client in clients:
                client.join()
        found = stored(home)
        assert set(settled) <= set(found)
        assert len(set(found.values())) == 1  # the same question each time: no row is torn
        with running(home, claude) as (heir, url):
            before = len(answered)
            client = threading.Thread(target=keep_asking, args=(url, answered))
            client.start()
            wait_until(answered, before + 1)
            heir.terminate()
            heir.wait()
            client.join()
    assert {*found, answered[before]} <= set(stored(home))
