"""The servers side by side, each a process of its own, and what /proc says of them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
KEY = "cgw-key-of-the-benchmark"
START_SECONDS = 60.0
SETTLE_SECONDS = 5.0
"""Until what a sidecar does beside its first requests is over."""


@dataclass(frozen=True)
class Server:
    name: str
    url: str
    pid: int
    chat: str | None = "/v1/chat/completions"
    """Where it takes OpenAI's chat; None where it does not."""
    native: str | None = "/v1/messages"
    headers: Mapping[str, str] = field(default_factory=dict)
    ready: float = 0.0
    """Seconds from its start until it says where it listens."""

    def cpu(self) -> float:
        """Seconds so far, of all its threads that are alive."""
        nanoseconds = 0
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                nanoseconds += int((thread / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
        return nanoseconds / 1e9

    def rss(self) -> float:
        """MiB."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


@contextmanager
def running(
    name: str, command: Sequence[str], core: int, environ: Mapping[str, str] | None = None, **more: str | None
) -> Iterator[Server]:
    """Starts a server that prints its address."""
    begin = time.perf_counter()
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [*_pinned(core), *command], env={**os.environ, **(environ or {})}, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        try:
            yield Server(name, _address(process, log), process.pid, ready=time.perf_counter() - begin, **more)  # type: ignore[arg-type]
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def running_silent(name: str, command: Sequence[str], core: int, port: int) -> Iterator[Server]:
    """The same for one that is told its port."""
    begin = time.perf_counter()
    with subprocess.Popen(
        [*_pinned(core), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            _wait_for(port)
            yield Server(name, f"http://127.0.0.1:{port}", process.pid, ready=time.perf_counter() - begin)
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    """Raises TimeoutError."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nobody listens on {port}")


def _pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(core)] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []


def _address(process: subprocess.Popen[bytes], log: object) -> str:
    assert process.stdout is not None
    while line := process.stdout.readline():
        if (found := re.search(rb"http://\S+?:\d+", line)) is not None:
            return found[0].decode()
    log.seek(0)  # type: ignore[attr-defined]
    raise RuntimeError(f"it did not start: {log.read().decode()[-2000:]}")  # type: ignore[attr-defined]


def claude(core: int) -> object:
    return running("direct", [sys.executable, str(HERE / "claude.py")], core, chat=None)


def floor(kind: str, claude_url: str, core: int) -> object:
    chat = "/v1/chat/completions" if kind == "hello" else None
    return running(f"bare {kind}", [sys.executable, str(HERE / "floors.py"), kind, claude_url], core, chat=chat)


def cgw(claude_url: str, home: str, core: int, *, python: str = sys.executable) -> AbstractContextManager[Server]:
    """With everything on; only the limit of requests a minute is raised, and it counts all the same. `python` has the
    checkout that is meant installed."""
    environ = {
        "CGW_HOME": home,
        "CGW_PORT": "0",
        "ANTHROPIC_BASE_URL": claude_url,
        "ANTHROPIC_API_KEY": "sk-ant-of-the-benchmark",
        "GATEWAY_API_KEY": KEY,
        "RATE_LIMIT_RPM": "1000000000",
        "PYTHONSAFEPATH": "1",  # what is installed there, and not what stands in this folder
    }
    command = [python, "-m", "sidecar", "up", "--headless"]
    return running("cgw", command, core, environ, headers={"x-api-key": KEY})  # type: ignore[arg-type]
