"""The running sidecar of a home folder: at most one, where it listens, and how it is told to end.

A lock says whether one runs; the system lets go of it when the process dies, so a state file that a crash left behind
or a process id that has been given to another program deceives nobody.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from sidecar import __version__
from sidecar.commands.file_lock import FileLock, is_held
from sidecar.home import Home, HomeError, explained, replace_privately
from sidecar.user_errors import UserError

HEALTH_SECONDS = 3.0
"""How long an answer to `GET /health` is waited for."""

POLL_SECONDS = 0.05

START_SECONDS = 60.0
"""How long a child may take until it answers."""

IMPORT_ROOT = Path(__file__).parents[2]
"""Where a child runs, so that a folder full of modules cannot shadow ours."""


class AlreadyRunningError(UserError):
    """Another sidecar uses this home folder; the message says where it listens."""


@dataclass(frozen=True, slots=True)
class RunningSidecar:
    """What the state file says, written once the sidecar listens."""

    pid: int
    url: str
    """Without `/v1`."""
    started: str
    """UTC, ISO 8601."""
    version: str

    @classmethod
    def this_process(cls, url: str) -> Self:
        return cls(os.getpid(), url, datetime.now(UTC).isoformat(timespec="seconds"), __version__)


@dataclass(slots=True)
class Claim:
    """What says that a process is the sidecar of a home folder."""

    lock: FileLock
    passed_on: bool = False
    """Whether another process has it now."""

    @property
    def descriptor(self) -> int:
        """Of the locked file: whoever has it open holds the lock."""
        return self.lock.descriptor

    def pass_on(self) -> None:
        """The successor has the file open as well. From now on it alone: however it ends, the home folder is free
        then, and not only once this process has given its last answer."""
        self.passed_on = True
        self.lock.release()


@contextmanager
def claimed(home: Home, inherited: int | None = None) -> Iterator[Claim]:
    """This process is the sidecar of `home` as long as the block runs. Raises AlreadyRunningError, HomeError.

    `inherited` is the locked file where an earlier process passes its claim on.
    """
    home.open()
    lock = FileLock(home.lock_file, inherited)
    if inherited is None:
        with explained(home.lock_file):
            is_ours = lock.acquire()
        if not is_ours:
            raise AlreadyRunningError(already_running(home))
    claim = Claim(lock)
    try:
        if inherited is None:
            _forget(home)
        yield claim
    finally:
        told_by_us = inherited is None or _told_by_us(home)
        if told_by_us and not claim.passed_on:
            with contextlib.suppress(HomeError):  # it would hide why the block ended
                _forget(home)
        lock.release()


def _told_by_us(home: Home) -> bool:
    """False for an heir that never came to announce itself: what stands there is its forerunner's."""
    running = find(home)
    return running is not None and running.pid == os.getpid()


def _forget(home: Home) -> None:
    with explained(home.state_file):
        home.state_file.unlink(missing_ok=True)


def announce(home: Home, url: str) -> None:
    """Tell other commands where this sidecar listens; only inside `claimed`."""
    replace_privately(home.state_file, json.dumps(asdict(RunningSidecar.this_process(url))).encode())


def is_claimed(home: Home) -> bool:
    """Whether a sidecar runs, starts or stops in this home folder. Raises HomeError."""
    with explained(home.lock_file):
        return is_held(home.lock_file)


def find(home: Home) -> RunningSidecar | None:
    """The sidecar of this home folder; None also while it starts."""
    if not is_claimed(home):
        return None
    try:
        running = RunningSidecar(**json.loads(home.state_file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    is_a_process = type(running.pid) is int and running.pid > 0  # to `os.kill`, 0 and below mean whole groups
    return running if is_a_process else None


def already_running(home: Home) -> str:
    """The sentence for somebody who starts a second one."""
    running = find(home)
    if running is None:
        return f"A cgw is starting or stopping in {home.path}: try again in a moment."
    return f"A cgw already runs at {running.url} (process {running.pid}): use it, or stop it with `cgw down`."


def health(url: str) -> dict[str, Any] | None:
    """What a sidecar says of itself, or None when nothing like one answers at `url`."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return told if isinstance(told, dict) and answer.status == http.client.OK else None


def tell_to_stop(running: RunningSidecar) -> None:
    """Ask it to end once the answers in flight are given; asked twice, it ends at once. On Windows it always does."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)


def wait_until_stopped(home: Home, seconds: float) -> bool:
    """False when it still runs after that time."""
    deadline = time.monotonic() + seconds
    while is_claimed(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
