"""The interceptor is kept running, ends when it should, and answers are not cut."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from sidecar.config import Settings
from sidecar.home import Home
from sidecar.interception import interceptor as module
from sidecar.interception.interceptor import Interceptor, InterceptorError, free_port, pause_after
from sidecar.interception.wire import Orders
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from tests.support.interceptor import RunningInterceptor
from tests.support.sidecar import RunningSidecar

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, claude: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path_factory.mktemp("home"), claude) as running:
        yield running


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


def wait_until_gone(pid: int) -> None:
    for _ in range(3000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise TimeoutError("it is still there")


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (50, 60), (10_000_000, 60)]
)
def test_it_waits_longer_after_each_failure_and_never_longer_than_a_minute(failures: int, seconds: float) -> None:
    assert pause_after(failures) == seconds


def test_a_port_that_is_taken_is_told_of_before_anything_starts() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(InterceptorError, match=r"port \d+ .*choose another with --intercept-port"),
    ):
        free_port(taken.getsockname()[1])


def test_one_that_takes_over_waits_for_the_port_of_the_one_before_where_any_would_do(tmp_path: Path) -> None:
    def port(wanted: int, takes_over: int | None) -> int:
        settings, url = Settings(intercept_port=wanted), "http://127.0.0.1:9"
        return Interceptor(settings, Home(tmp_path), key="k", sidecar_url=url, takes_over=takes_over).port

    with socket.create_server(("127.0.0.1", 0)) as taken:
        before = taken.getsockname()[1]
        assert port(0, before) == before
        assert port(before, 0) == before
        assert port(0, None) not in {0, before}
        assert port(0, 0) not in {0, before}
        with pytest.raises(InterceptorError):
            port(before, None)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:{}", "http://localhost:{}/"])
def test_the_way_to_claude_may_not_lead_through_it(tmp_path: Path, proxy: str) -> None:
    port = free_port(0)
    settings = Settings(intercept_port=port, upstream_proxy=proxy.format(port))
    with pytest.raises(InterceptorError, match="circle"):
        Interceptor(settings, Home(tmp_path), key="cgw-key", sidecar_url="http://127.0.0.1:9")


def test_another_proxy_on_the_way_to_claude_is_the_users_business(tmp_path: Path) -> None:
    for proxy in ("http://proxy.example:4344", "http://127.0.0.1", None):
        settings = Settings(intercept_port=0, upstream_proxy=proxy)
        Interceptor(settings, Home(tmp_path), key="cgw-key", sidecar_url="http://127.0.0.1:9")


def test_it_comes_back_on_the_same_port_whatever_ended_it(
    gateway: RunningSidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.05)
    running = RunningInterceptor(gateway)
    with ExitStack() as until_the_end:
        with socket.create_server(("127.0.0.1", running.port)):  # somebody was faster
            until_the_end.enter_context(running)
            assert "address already in use" in running.wait_for("restarting")["error"].lower()
        first = running.wait_for("running")
        os.kill(first["pid"], signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        while (told := running.health()).get("pid") in (first["pid"], None) or told["state"] != "running":
            assert told["state"] != "restarting" or "exit code" in told["error"]
            time.sleep(0.02)
        assert told["url"] == first["url"]
        assert told["restarts"] == first["restarts"] + 1
        pid = told["pid"]
    wait_until_gone(pid)
    assert "it is started again" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("told_by", ["a signal", "the sidecar"])
def test_a_stream_that_has_begun_is_not_cut_when_it_ends(
    gateway: RunningSidecar, claude: RunningSimulator, told_by: str
) -> None:
    claude.simulator.script(Answer("many words " * 20, silent_after=6, silence=1.5))
    with RunningInterceptor(gateway) as running:
        pid = running.wait_for("running")["pid"]
        trusted = ssl.create_default_context(cafile=str(running.authority.bundle))
        ask = {"model": "sonnet", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
        with (
            httpx2.Client(proxy=running.url, verify=trusted, timeout=60, trust_env=False) as client,
            client.stream(
                "POST", "https://api.openai.com/v1/chat/completions", json=ask, headers={"authorization": "Bearer x"}
            ) as answer,
        ):
            lines = answer.iter_lines()
            assert any("many" in line for line in lines)
            if told_by == "a signal":
                os.kill(pid, signal.SIGTERM)
            else:
                running.stop()
            rest = list(lines)
        assert len([line for line in rest if '"content":' in line]) > 5
        assert "data: [DONE]" in rest
        wait_until_gone(pid)
    assert refuses(running.port)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An interceptor without anybody who would start it again, once it listens."""
    authority = module.ensure(Home(tmp_path), ("api.openai.com",))
    orders = Orders(
        key="cgw-key",
        sidecar_url="http://127.0.0.1:9",
        port=free_port(0),
        hosts=("api.openai.com",),
        subscriptions=False,
        authority=str(authority.folder),
        trusted=str(authority.bundle),
    )
    with subprocess.Popen(
        [sys.executable, "-m", "sidecar.interceptor"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orders.line())
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"ready": True}
        yield process
        process.kill()


def test_it_ends_when_its_parent_is_gone(alone: subprocess.Popen[bytes]) -> None:
    assert alone.stdin is not None
    alone.stdin.close()
    assert alone.wait(60) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_key_is_on_no_command_line_and_in_no_environment(alone: subprocess.Popen[bytes]) -> None:
    folder = Path("/proc") / str(alone.pid)
    assert b"cgw-key" not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()


def test_it_gets_none_of_our_settings() -> None:
    mine = {"ANTHROPIC_API_KEY": "sk-ant-x", "GATEWAY_API_KEY": "k", "PATH": "/bin", "CGW_HOME": "/home/me/cgw"}
    assert module._environment(mine) == {"PATH": "/bin", "CGW_HOME": "/home/me/cgw"}


def test_what_anybody_may_read_of_it_has_no_key(gateway: RunningSidecar) -> None:
    running = RunningInterceptor(gateway)
    assert gateway.key not in str(running.health())
    assert running.health()["hosts"] == list(Settings().intercept_hosts)
