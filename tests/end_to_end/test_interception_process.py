"""`cgw up --intercept` as a user meets it: processes, signals, and what is said."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.config import Settings, environment_name
from sidecar.home import Home
from sidecar.interception.authority import authority_of
from sidecar.models import listing
from sidecar.simulator.answers import Answer
from sidecar.simulator.catalogue import model_info
from sidecar.simulator.models import MODELS
from sidecar.simulator.server import RunningSimulator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

OURS = frozenset(name for field in Settings.model_fields if (name := environment_name(field)))
QUESTION = {"model": "sonnet", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, claude: RunningSimulator) -> Path:
    """Of somebody who has started cgw before: that is quicker."""
    home = Home(tmp_path / "home")
    home.open()
    listing.save(home.models_file, [model_info(row) for row in MODELS], source=claude.url)
    return home.path


def environ_of(home: Path, claude: RunningSimulator) -> dict[str, str]:
    ours = {
        "CGW_HOME": str(home),
        "CGW_PORT": "0",
        "ANTHROPIC_BASE_URL": claude.url,
        "ANTHROPIC_API_KEY": claude.api_key,
        "NO_COLOR": "1",
    }
    return {name: value for name, value in os.environ.items() if name not in OURS} | ours


@contextmanager
def up(home: Path, claude: RunningSimulator, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`cgw up --headless`, and its URL."""
    command = [sys.executable, "-m", "sidecar", "up", "--headless", *arguments]
    with subprocess.Popen(
        command, env=environ_of(home, claude), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+?:\d+", process.stdout.readline().decode())
            assert found is not None
            yield process, found[0]
        finally:
            process.kill()


def interceptor_of(url: str) -> Any:
    """What `/health` tells of it once it runs."""
    for _ in range(3000):
        told = httpx2.get(f"{url}/health", timeout=60).json()["interceptor"]
        if told["state"] == "running":
            return told
        time.sleep(0.02)
    raise TimeoutError(told)


def wait_until_gone(pid: int) -> None:
    for _ in range(3000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise TimeoutError("it is still there")


def through(home: Path, told: Any) -> httpx2.Client:
    trusted = ssl.create_default_context(cafile=str(authority_of(Home(home)).bundle))
    return httpx2.Client(proxy=told["url"], verify=trusted, headers={"x-api-key": "any"}, timeout=60, trust_env=False)


@contextmanager
def streamed(home: Path, told: Any) -> Iterator[Iterator[str]]:
    """The lines of an answer that has begun to come through it."""
    asked = QUESTION | {"stream": True}
    with (
        through(home, told) as client,
        client.stream("POST", "https://api.openai.com/v1/chat/completions", json=asked) as answer,
    ):
        lines = answer.iter_lines()
        assert any("many" in line for line in lines)
        yield lines


def test_a_stream_through_it_outlives_the_signal_and_nothing_stays_behind(home: Path, claude: RunningSimulator) -> None:
    with up(home, claude, "--intercept", "--intercept-port", "0") as (process, url):
        told = interceptor_of(url)
        status = CliRunner().invoke(app, ["status"], env=environ_of(home, claude)).stdout
        claude.simulator.script(Answer("many words " * 20, silent_after=6, silence=1.5))
        with streamed(home, told) as lines:
            process.terminate()
            assert "data: [DONE]" in list(lines)
        said = process.communicate(timeout=60)[0].decode()
        assert process.returncode == 0
        wait_until_gone(told["pid"])
    assert f"Interceptor: running at {told['url']} for api.openai.com, api.anthropic.com." in status
    assert "your Anthropic API key pays" in said
    assert "sk-ant-oat" in said


def test_a_restart_moves_it_to_the_new_process_and_ends_no_stream(home: Path, claude: RunningSimulator) -> None:
    with up(home, claude, "--intercept", "--intercept-port", "0") as (_, url):
        told = interceptor_of(url)
        claude.simulator.script(Answer("many words " * 20, silent_after=6, silence=6.0))
        with streamed(home, told) as lines:
            assert "answers now" in CliRunner().invoke(app, ["restart"], env=environ_of(home, claude)).stdout
            assert "data: [DONE]" in list(lines)
        while (now := interceptor_of(url))["pid"] == told["pid"]:
            time.sleep(0.05)
        assert now["url"] == told["url"]
        with through(home, now) as client:
            assert client.post("https://api.openai.com/v1/chat/completions", json=QUESTION).status_code == 200
        assert "Stopped" in CliRunner().invoke(app, ["down"], env=environ_of(home, claude)).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_ends_with_a_killed_sidecar_and_showed_no_key_to_anybody(home: Path, claude: RunningSimulator) -> None:
    with up(home, claude, "--intercept", "--intercept-port", "0") as (process, url):
        told = interceptor_of(url)
        folder = Path("/proc") / str(told["pid"])
        seen = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until_gone(told["pid"])
        assert Home(home).gateway_key().encode() not in seen
        assert claude.api_key.encode() not in seen


CONNECT = "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'CONNECT api.openai.com:443 HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3"


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("bash") is None,
    reason="only Linux tells whose a connection is, and only root can be somebody else",
)
def test_no_other_user_of_this_machine_is_let_in(home: Path, claude: RunningSimulator) -> None:
    with up(home, claude, "--intercept", "--intercept-port", "0") as (_, url):
        told = interceptor_of(url)
        command = ["bash", "-c", CONNECT.format(port=told["url"].rpartition(":")[2])]
        ran = subprocess.run(command, user=65534, cwd="/", capture_output=True, check=False, timeout=60)
        assert b"HTTP/1.1 200" not in ran.stdout
        with through(home, told) as client:
            assert client.post("https://api.openai.com/v1/chat/completions", json=QUESTION).status_code == 200
        while (warning := interceptor_of(url).get("warning")) is None:
            time.sleep(0.02)
        assert warning == "Another user of this machine (uid 65534) asked the interceptor, and was refused."


def test_a_port_that_is_taken_ends_the_start_with_a_sentence(home: Path, claude: RunningSimulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "sidecar", "up", "--headless", "--intercept", "--intercept-port", port]
        ran = subprocess.run(command, env=environ_of(home, claude), capture_output=True, text=True, check=False)
    [sentence] = ran.stderr.splitlines()
    assert ran.returncode == 1
    assert sentence.startswith("cgw: ")
    assert f"port {port}" in sentence
    assert "--intercept-port" in sentence
