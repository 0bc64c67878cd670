"""`cgw record` turns recording on and off, a running sidecar notices, and `cgw replay` plays what was kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.home import Home
from sidecar.recording import LOOK_SECONDS, Recordings
from sidecar.replay.recordings import read
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CGW_HOME", str(tmp_path))
    return Home(tmp_path)


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["record", *arguments])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_it_is_off_until_it_is_turned_on_and_says_what_it_keeps(home: Home) -> None:
    assert "Recording is off. `cgw record on` starts it." in run()
    assert not home.path.joinpath("recordings").exists()
    said = run("on")
    assert "Recording is on" in said
    assert "code and words included" in said
    assert json.loads(run("status", "--json"))["on"] is True
    assert "Recording is off." in run("off")
    assert json.loads(run("--json")) == {
        "on": False,
        "folder": str(home.path / "recordings"),
        "conversations": 0,
        "bytes": 0,
        "oldest": None,
    }


async def test_a_running_sidecar_keeps_what_was_said_and_it_can_be_replayed(home: Home) -> None:
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "hello"}]}
    with RunningSimulator() as claude, RunningSidecar(home.path, claude) as sidecar:
        run("on")
        await asyncio.sleep(LOOK_SECONDS)
        claude.simulator.script("hi")
        headers = {"authorization": f"Bearer {sidecar.key}"}
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{sidecar.url}/v1/chat/completions", json=body, headers=headers) as answer,
        ):
            assert answer.status == 200
    assert "1 conversations" in run("status")
    [file] = Recordings(home).files()
    assert sidecar.key.encode() not in file.read_bytes()
    [[session], _] = read([home.path / "recordings"])
    [turn] = session.turns
    assert turn.body == body
    assert turn.answer is not None
    assert turn.answer["content"] == [{"type": "text", "text": "hi"}]
