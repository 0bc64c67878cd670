"""`cgw doctor` as its user and as a script meet it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sidecar.cli import app
from sidecar.config import Settings, environment_name
from sidecar.doctor.machine import PROXIES
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*map(environment_name, Settings.model_fields), *PROXIES, "SUDO_USER"):
        if name:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CGW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setenv("CGW_PORT", "0")
    return tmp_path / "home"


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_without_a_key_there_is_a_problem_and_what_to_do(home: Path) -> None:
    ran = doctor()
    assert ran.exit_code == 2
    assert "There is no Anthropic key" in ran.output
    assert "-> `export ANTHROPIC_API_KEY" in ran.output


def test_a_script_gets_every_finding_and_nobody_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret-of-the-tests")
    ran = doctor("--json")
    told = json.loads(ran.stdout)
    assert ran.exit_code == told["exit_code"] == 0
    assert all(set(finding) == {"check", "severity", "said", "fix"} for finding in told["findings"])
    assert "secret" not in ran.output
    assert not (home / "ledger.sqlite3").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a folder private by its access lists")
def test_fix_closes_what_others_may_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-the-tests")
    home.mkdir(mode=0o755)
    assert doctor().exit_code == 1
    ran = doctor("--fix")
    assert (ran.exit_code, home.stat().st_mode & 0o777) == (0, 0o700)
    assert "Mended: " in ran.output


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


def test_the_key_is_tried_where_the_user_said_yes(
    home: Path, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", claude.api_key)
    assert "Anthropic takes the key." in doctor("--yes").output
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-somebody-else")
    ran = doctor("--yes")
    assert ran.exit_code == 2
    assert "does not take the key" in ran.output
    assert "does not take the key: Invalid bearer token." in " ".join(ran.output.split())
    assert "somebody-else" not in ran.output
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    ran = doctor("--yes")
    assert ran.exit_code == 1
    assert "Whether Anthropic takes the key is not known" in ran.output


async def test_the_dashboard_gets_the_same_findings(tmp_path: Path, claude: RunningSimulator) -> None:
    import aiohttp

    with RunningSidecar(tmp_path, claude) as sidecar:
        async with aiohttp.ClientSession(sidecar.url) as session:
            async with session.get("/admin/doctor") as refused:
                assert refused.status == 401
            async with session.get("/admin/doctor", headers={"x-api-key": sidecar.key}) as answer:
                told = await answer.json()
    checks = {finding["check"]: finding for finding in told["findings"]}
    assert checks["sidecar"]["severity"] == "ok"
    assert checks["key"]["severity"] == "ok"
    assert told["checked"] > 0
