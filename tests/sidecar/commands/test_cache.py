"""`cgw cache` as its user meets it, with a running sidecar and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.commands.running import announce, claimed
from sidecar.config import Settings, environment_name
from sidecar.home import Home
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar

SETTING_NAMES = tuple(name for field in Settings.model_fields if (name := environment_name(field)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in SETTING_NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CGW_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return Home(tmp_path)


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def gateway(home: Home, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSidecar]:
    """One that other commands know to be running."""
    with claimed(home), RunningSidecar(home.path, claude, enable_response_cache=True) as running:
        announce(home, running.url)
        monkeypatch.setenv("GATEWAY_API_KEY", running.key)
        yield running


def cgw(*arguments: str, code: int = 0) -> str:
    ran = CliRunner().invoke(app, ["cache", *arguments])
    assert ran.exit_code == code, ran.output
    return ran.output


def told(*arguments: str) -> Any:
    return json.loads(cgw(*arguments, "--json"))


def ask(gateway: RunningSidecar, words: str = "hello") -> httpx2.Response:
    question = {"model": "sonnet", "max_tokens": 99, "messages": [{"role": "user", "content": words}]}
    answer = httpx2.post(f"{gateway.url}/v1/messages", json=question, headers={"x-api-key": gateway.key}, timeout=30)
    assert answer.status_code == 200
    return answer


def kept(home: Home, claude: RunningSimulator, *words: str) -> list[str]:
    """Keys of answers that a sidecar left behind."""
    with RunningSidecar(home.path, claude, enable_response_cache=True) as gateway:
        return [ask(gateway, one).headers["x-gateway-cache-key"] for one in words]


def test_before_any_answer_there_is_nothing_to_show(home: Home) -> None:
    assert cgw("stats") == cgw("get") == "No answer is kept.\n"
    assert told("stats")["entries"] == 0
    assert told("get") == []
    assert cgw("clear") == "Forgot 0 answers.\n"


def test_without_a_sidecar_what_is_kept_can_be_counted_shown_and_cleared(home: Home, claude: RunningSimulator) -> None:
    claude.simulator.script(Answer("the answer to\x1b[2J\x9b one"))
    first, second = kept(home, claude, "one", "two")
    stats = told("stats")
    assert stats["entries"] == 2
    assert stats["projects"]["default"]["bytes"] == stats["bytes"] > 0
    assert cgw("stats").startswith("2 answers kept, ")
    assert sorted(one["key"] for one in told("get")) == sorted([first, second])
    assert first in cgw("get")
    shown = told("get", first)
    assert shown["message"]["content"][0]["text"] == "the answer to\x1b[2J\x9b one"
    assert (shown["model"], shown["stop_reason"]) == ("claude-sonnet-5-5", "end_turn")
    plain = cgw("get", first)
    assert "the answer to\\u001b[2J\\u009b one" in plain, "nothing that Claude says steers a terminal"
    assert cgw("clear", "--project", "other") == "Forgot 0 answers.\n"
    assert told("clear") == {"cleared": 2}
    assert cgw("stats") == "No answer is kept.\n"


def test_a_running_sidecar_forgets_at_once_what_is_cleared(gateway: RunningSidecar) -> None:
    ask(gateway)
    assert ask(gateway).headers["x-cache"] == "HIT"
    stats = told("stats")
    assert stats["since_start"] == {"hits": 1, "misses": 1, "stored": 1, "corrupt": 0}
    assert stats["entries"] == 1
    assert "Since the start: 1 hits, 1 misses, 1 stored, 0 damaged and thrown away." in cgw("stats")
    assert cgw("clear", "--project", "default") == "Forgot 1 answer.\n"
    assert ask(gateway).headers["x-cache"] == "MISS"


def test_an_answer_that_is_not_kept_is_one_sentence(home: Home) -> None:
    assert "No answer is kept under a1" in cgw("get", "a1", code=1)


def test_a_sidecar_with_another_key_is_one_sentence(gateway: RunningSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_API_KEY", "another")
    assert "has another key" in cgw("stats", code=1)


def test_the_owner_alone_may_look_and_clear(gateway: RunningSidecar) -> None:
    for method in ("GET", "DELETE"):
        assert httpx2.request(method, f"{gateway.url}/admin/cache").status_code == 401
    assert httpx2.post(f"{gateway.url}/admin/cache").status_code == 405
