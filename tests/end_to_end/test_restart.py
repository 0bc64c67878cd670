"""A gateway whose settings change, and one that is put in another's place, while answers run and clients come."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sidecar.config import Settings, environment_name
from sidecar.simulator.answers import Answer
from sidecar.simulator.delivery import Delivery
from sidecar.simulator.server import RunningSimulator
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets are handed on by Unix alone")

OURS = frozenset(name for field in Settings.model_fields if (name := environment_name(field)))
KEY = "cgw-key-of-the-tests"
AN_HOUR = 3600.0
"""Where a scripted answer waits until it is told to go on."""
WORDS = "many words " * 20
ENDS = (b"message_stop", b"response.completed")
QUESTION = {"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@dataclass
class Gateway:
    process: subprocess.Popen[bytes]
    url: str
    home: Path
    environ: dict[str, str]
    said: Path

    def configure(self, text: str) -> None:
        (self.home / "cgw.toml").write_text(text)

    def ask(self, method: str, path: str, **given: Any) -> httpx2.Response:
        return httpx2.request(method, self.url + path, headers={"x-api-key": KEY}, timeout=60, **given)

    def cgw(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sidecar", *words], env=self.environ, capture_output=True, check=False, text=True
        )
        return done.stdout + done.stderr

    @property
    def pid(self) -> int:
        pid: int = self.ask("GET", "/health").json()["pid"]
        return pid


@pytest.fixture(scope="module")
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, claude: RunningSimulator) -> Iterator[Gateway]:
    with started(tmp_path_factory.mktemp("restart"), claude) as gateway:
        yield gateway


@contextmanager
def started(folder: Path, claude: RunningSimulator) -> Iterator[Gateway]:
    settings = {
        "CGW_HOME": str(folder / "home"),
        "ANTHROPIC_BASE_URL": claude.url,
        "ANTHROPIC_API_KEY": claude.api_key,
        "GATEWAY_API_KEY": KEY,
        "ENABLE_RESPONSE_CACHE": "0",
    }
    environ = {name: value for name, value in os.environ.items() if name not in OURS} | settings
    command = [sys.executable, "-m", "sidecar", "up", "--headless", "--port=0"]
    with (
        (folder / "errors").open("wb") as errors,
        subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+?:\d+", process.stdout.readline().decode())
            assert found is not None
            yield Gateway(process, found[0], folder / "home", environ, folder / "errors")
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def running_stream(
    gateway: Gateway, claude: RunningSimulator, path: str = "/v1/messages"
) -> Iterator[Callable[[], bytes]]:
    """A stream of which the first words are here; the function lets it end, and gives all of it."""
    claude.simulator.script(Answer(WORDS, silent_after=6, silence=AN_HOUR))
    may_end = threading.Event()
    pause = Delivery._pause

    async def pause_until_told(delivery: Delivery, seconds: float) -> None:
        await (asyncio.to_thread(may_end.wait, 300) if seconds == AN_HOUR else pause(delivery, seconds))

    words = f"hello {time.monotonic()}"
    said: dict[str, Any] = {"max_tokens": 900, "messages": [{"role": "user", "content": words}]}
    if path == "/v1/responses":
        said = {"input": words}
    body = {"model": "sonnet", "stream": True, **said}
    received = bytearray()
    begun = threading.Event()

    def read() -> None:
        with httpx2.stream("POST", gateway.url + path, json=body, headers={"x-api-key": KEY}, timeout=300) as answer:
            for chunk in answer.iter_raw():
                received.extend(chunk)
                if b"words" in received:
                    begun.set()

    reader = threading.Thread(target=read)

    def whole() -> bytes:
        may_end.set()
        reader.join(60)
        return bytes(received)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Delivery, "_pause", pause_until_told)
        reader.start()
        try:
            assert begun.wait(60)
            assert not any(end in received for end in ENDS)
            yield whole
        finally:
            may_end.set()
            reader.join(60)


def wait_for(condition: Callable[[], bool]) -> None:
    until(condition)


def test_a_reload_changes_what_can_change_and_disturbs_no_stream(gateway: Gateway, claude: RunningSimulator) -> None:
    with running_stream(gateway, claude) as whole:
        gateway.configure("max_body_bytes = 1000\nintercept_port = 5\n")
        before = gateway.ask("GET", "/health").json()
        said = gateway.cgw("reload")
        assert "In effect: MAX_BODY_BYTES." in said
        assert "Waiting for `cgw restart`: INTERCEPT_PORT." in said
        assert gateway.ask("POST", "/v1/messages", content=b"x" * 1001).status_code == 413
        after = gateway.ask("GET", "/health").json()
        for name in ("pid", "instance"):
            assert after[name] == before[name]
        assert after["in_flight"] == 1
        assert after["requests"] >= before["requests"] >= 1
        assert b"message_stop" in whole()
    wait_for(lambda: gateway.ask("GET", "/health").json()["in_flight"] == 0)


@pytest.fixture(autouse=True)
def plain(gateway: Gateway) -> None:
    """Every test begins with the settings that nobody changed, whichever came before it on this worker."""
    if gateway.process.poll() is None:
        gateway.configure("")
        assert gateway.ask("POST", "/admin/reload").status_code == 200


def test_no_reload_begins_a_fresh_minute(gateway: Gateway) -> None:
    def left() -> int:
        answer = gateway.ask("POST", "/v1/messages", json=QUESTION)
        return int(answer.headers["x-ratelimit-remaining"])

    before = left()
    gateway.configure("breaker_calls = 50\n")
    assert "In effect: BREAKER_CALLS." in gateway.cgw("reload")
    assert left() == before - 1


def test_a_hang_up_signal_does_the_same(gateway: Gateway) -> None:
    gateway.configure("max_body_bytes = 1000\n")
    os.kill(gateway.pid, signal.SIGHUP)
    wait_for(lambda: gateway.ask("POST", "/v1/messages", content=b"x" * 1500).status_code == 413)


def test_settings_that_cannot_be_used_change_nothing(gateway: Gateway) -> None:
    gateway.configure("max_body_bytes = 1000\n")
    assert gateway.ask("POST", "/admin/reload").status_code == 200
    for broken, complaint in (
        ("max_body_bytes = 'many'", "whole number"),
        ("keep_bodies = 7\n[fallback]\nopus = 'gpt-none'", "gpt-none"),
    ):
        gateway.configure(broken)
        answer = gateway.ask("POST", "/admin/reload")
        assert answer.status_code == 400
        assert complaint in answer.json()["error"]["message"]
    assert gateway.ask("POST", "/admin/bypass", json={"on": False}).json()["keeps_bodies"] != 7
    assert gateway.ask("POST", "/v1/messages", content=b"x" * 1500).status_code == 413


def test_only_the_owner_may_ask(gateway: Gateway) -> None:
    for path in ("/admin/reload", "/admin/restart"):
        assert httpx2.post(gateway.url + path, timeout=60).status_code == 401


def test_a_restart_keeps_the_port_and_the_streams(gateway: Gateway, claude: RunningSimulator) -> None:
    gateway.configure("max_body_bytes = 3000\n")
    old = gateway.pid
    refused: list[Exception] = []
    done = threading.Event()

    def keep_coming() -> None:
        while not done.is_set():
            try:
                gateway.ask("GET", "/health")
            except httpx2.HTTPError as error:
                refused.append(error)
            time.sleep(0.02)

    coming = threading.Thread(target=keep_coming)
    coming.start()
    try:
        with running_stream(gateway, claude, "/v1/responses") as whole:
            said = gateway.cgw("restart")
            assert f"process {old} ends with its last answer" in said, said + gateway.said.read_text()
            wait_for(lambda: gateway.pid != old)
            assert gateway.ask("POST", "/v1/messages", content=b"x" * 2500).status_code == 400
            assert gateway.ask("POST", "/v1/messages", content=b"x" * 3500).status_code == 413
            ask_on = {"model": "sonnet", "input": "go on", "previous_response_id": "resp_none"}
            assert gateway.ask("POST", "/v1/responses", json=ask_on).status_code == 400
            streamed = whole()
            assert b"response.completed" in streamed
            found = re.search(rb"resp_[0-9a-f]{32}", streamed)
            assert found is not None
            ask_on["previous_response_id"] = found[0].decode()
            assert gateway.ask("POST", "/v1/responses", json=ask_on).status_code == 200  # what the other one kept
    finally:
        done.set()
        coming.join()
    assert refused == []
    assert str(gateway.pid) in gateway.cgw("status")
    assert gateway.process.poll() is None  # whoever started it waits for it as before


def test_a_restart_that_fails_leaves_the_old_one_at_work(gateway: Gateway) -> None:
    old = gateway.pid
    gateway.configure("max_body_bytes = 'many'\n")
    answer = gateway.ask("POST", "/admin/restart")
    assert answer.status_code == 500
    assert "the old one goes on" in answer.json()["error"]["message"]
    assert gateway.pid == old
    gateway.configure("")


def test_who_started_the_first_one_ends_the_last_one(tmp_path: Path, claude: RunningSimulator) -> None:
    with started(tmp_path, claude) as gateway:
        assert gateway.ask("POST", "/admin/restart").status_code == 200
        wait_for(lambda: gateway.pid != gateway.process.pid)
        ends_with_its_starter(gateway)


def test_whoever_started_the_first_one_may_end_the_last_one_while_the_first_one_still_answers(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    with started(tmp_path, claude) as gateway, running_stream(gateway, claude) as whole:
        assert gateway.ask("POST", "/admin/restart").status_code == 200
        wait_for(lambda: gateway.pid != gateway.process.pid)
        gateway.process.terminate()
        wait_for(lambda: "No cgw is running" in gateway.cgw("status"))
        assert gateway.process.poll() is None
        assert b"message_stop" in whole()
        assert gateway.process.wait(60) == 0


def ends_with_its_starter(gateway: Gateway) -> None:
    gateway.process.terminate()
    assert gateway.process.wait(60) == 0
    with pytest.raises(httpx2.HTTPError):
        gateway.ask("GET", "/health")
    assert "No cgw is running" in gateway.cgw("status")
