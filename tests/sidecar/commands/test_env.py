"""`cgw env` and `cgw run` as their user meets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sidecar.cli import app
from sidecar.commands import env as module
from sidecar.commands.running import announce, claimed
from sidecar.config import Settings, environment_name
from sidecar.home import Home
from sidecar.interception.authority import authority_of

OURS = frozenset(name for field in Settings.model_fields if (name := environment_name(field)))
POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no exec")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CGW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    return Home(tmp_path / "home")


@pytest.fixture
def running(home: Home) -> Iterator[Home]:
    """A sidecar that says where it listens, and does not."""
    with claimed(home):
        announce(home, "http://127.0.0.1:9")
        yield home


def cgw(*arguments: str) -> Result:
    ran = CliRunner().invoke(app, arguments)
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


def test_env_prints_nothing_but_lines_for_the_shell(running: Home) -> None:
    ran = cgw("env", "--shell", "bash")
    assert ran.exit_code == 0
    assert all(line.startswith("export ") for line in ran.stdout.splitlines())
    assert "export OPENAI_BASE_URL=http://127.0.0.1:9/v1\n" in ran.stdout
    assert "export ANTHROPIC_BASE_URL=http://127.0.0.1:9\n" in ran.stdout
    assert running.gateway_key() not in ran.stdout
    assert not ran.stderr


def test_env_writes_for_the_shell_that_is_used(running: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert cgw("env").stdout.startswith("set -gx ")
    assert cgw("env", "--shell", "powershell").stdout.startswith("$env:")


def test_env_without_a_sidecar_goes_by_the_settings_and_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGW_PORT", "4999")
    ran = cgw("env", "--shell", "bash")
    assert "http://127.0.0.1:4999/v1" in ran.stdout
    assert "No cgw is running" in ran.stderr


def test_a_port_that_is_not_known_yet_is_an_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGW_PORT", "0")
    ran = cgw("env")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "start it with `cgw up`" in ran.stderr


def test_a_key_of_the_users_own_is_taken_from_its_variable(running: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_API_KEY", "of my own")
    ran = cgw("env", "--shell", "bash")
    assert 'export OPENAI_API_KEY="$GATEWAY_API_KEY"' in ran.stdout
    assert "of my own" not in ran.stdout


def test_env_for_the_interceptor_has_no_base_url_and_no_key(home: Home) -> None:
    ran = cgw("env", "--shell", "bash", "--intercept")
    assert "export HTTPS_PROXY=http://127.0.0.1:4344\n" in ran.stdout
    assert str(authority_of(home).bundle) in ran.stdout
    assert "BASE_URL" not in ran.stdout
    assert "KEY" not in ran.stdout
    assert "`cgw up --intercept`" in ran.stderr


def test_a_sidecar_without_an_interceptor_is_told_of(running: Home) -> None:
    ran = cgw("run", "--intercept", "--", sys.executable, "--version")
    assert ran.exit_code == 1
    assert "start it with `cgw up --intercept`" in ran.stderr


def test_the_interceptor_that_runs_is_the_one_that_is_named(running: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"interceptor": {"state": "running", "url": "http://127.0.0.1:5555"}}
    monkeypatch.setattr("sidecar.commands.running.health", lambda _url: told)
    ran = cgw("env", "--shell", "fish", "--intercept")
    assert "set -gx https_proxy 'http://127.0.0.1:5555'\n" in ran.stdout
    assert not ran.stderr


def test_an_interceptor_that_just_starts_is_waited_for(running: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    states = ["starting", "starting", "running"]
    monkeypatch.setattr(module, "POLL_SECONDS", 0)
    monkeypatch.setattr(
        "sidecar.commands.running.health",
        lambda _url: {"interceptor": {"state": states.pop(0), "url": "http://127.0.0.1:5555"}},
    )
    assert "5555" in cgw("env", "--intercept").stdout
    assert states == []


def test_a_base_url_that_leads_past_the_interceptor_is_told_of(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com/v1")
    assert "past" not in cgw("env", "--intercept").stderr
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:8081")
    assert "ANTHROPIC_BASE_URL is http://127.0.0.1:8081" in cgw("env", "--intercept").stderr


def test_run_tells_what_is_not_found_in_one_sentence(running: Home) -> None:
    ran = cgw("run", "--", "no-such-program-of-cgw", "--flag")
    assert (ran.exit_code, ran.stderr.count("\n")) == (127, 1)
    assert "no-such-program-of-cgw is not found" in ran.stderr


@POSIX
def test_run_tells_what_cannot_be_run(running: Home, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    ran = cgw("run", "--", str(tmp_path / "text"))
    assert ran.exit_code == 126
    assert "cannot be run: Permission denied." in ran.stderr


@POSIX
def test_run_becomes_the_program_with_its_arguments_and_variables(
    running: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[tuple[str, list[str], dict[str, str]]] = []

    def execve(program: str, command: list[str], environ: dict[str, str]) -> None:
        became.append((program, command, environ))
        raise SystemExit

    monkeypatch.setattr(module.os, "execve", execve)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-real")
    monkeypatch.setenv("UNTOUCHED", "stays")
    cgw("run", sys.executable, "--model", "x", "--", "--intercept")
    [(program, command, environ)] = became
    assert program == sys.executable
    assert command == [sys.executable, "--model", "x", "--", "--intercept"]
    assert environ["OPENAI_BASE_URL"] == "http://127.0.0.1:9/v1"
    assert environ["OPENAI_API_KEY"] == environ["ANTHROPIC_API_KEY"] == running.gateway_key()
    assert environ["UNTOUCHED"] == "stays"


@POSIX
def test_claude_code_gets_a_token_and_no_key_beside_it(
    running: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    environs: list[dict[str, str]] = []
    monkeypatch.setattr(module.os, "execve", lambda _program, _command, environ: environs.append(environ))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-real")
    cgw("run", "--", str(program))
    assert environs[0]["ANTHROPIC_AUTH_TOKEN"] == running.gateway_key()
    assert "ANTHROPIC_API_KEY" not in environs[0]
    told = {"interceptor": {"state": "running", "url": "http://127.0.0.1:5555"}}
    monkeypatch.setattr("sidecar.commands.running.health", lambda _url: told)
    cgw("run", "--intercept", "--", str(program))
    assert environs[1]["ANTHROPIC_API_KEY"] == "sk-ant-real"  # there it needs one of its own


@POSIX
def test_signals_and_exit_codes_are_the_programs_own(running: Home) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    command = [sys.executable, "-m", "sidecar", "run", "--", sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"CGW_HOME": str(running.path)}) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 42


def test_on_windows_the_program_is_a_child_whose_code_is_passed_on(running: Home) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit(7)"]
    assert module._exit_code(sys.executable, command, dict(os.environ)) == 7
