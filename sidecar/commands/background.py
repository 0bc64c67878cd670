"""The sidecar in a child process: detached from the terminal, or tied to the dashboard that shows it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from sidecar.commands.foreground import STAY
from sidecar.commands.running import (
    IMPORT_ROOT,
    POLL_SECONDS,
    START_SECONDS,
    RunningSidecar,
    find,
    health,
    tell_to_stop,
)
from sidecar.home import Home, replace_privately
from sidecar.user_errors import UserError

STOP_SECONDS = 35.0
"""A little more than a sidecar gives the answers in flight (`uvicorn_server.DRAIN_SECONDS`)."""

KNOWN_EXIT_CODES = frozenset({1, 2})

PRIVATE_UMASK = 0o077
"""What it writes is in the home folder, its log among it, and for nobody else."""


class BackgroundError(UserError):
    """The child did not start; the message is what it said, one sentence."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code if exit_code in KNOWN_EXIT_CODES else 1


class BackgroundSidecar:
    """A child that serves. `tied` ones end with this process, however it ends; the others outlive the terminal."""

    def __init__(self, home: Home, arguments: Sequence[str], *, tied: bool) -> None:
        """Returns once the child answers. Raises BackgroundError, HomeError."""
        home.open()
        self._child = _spawn(home, [*arguments, "--until-stdin-closes"] if tied else arguments, tied=tied)
        self.running = self._wait_until_ready(home)

    def _wait_until_ready(self, home: Home) -> RunningSidecar:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._child.poll() is not None:
                raise BackgroundError(_last_words(home, self._child.returncode), self._child.returncode)
            running = find(home)
            if running is not None and health(running.url) is not None:
                return running
            time.sleep(POLL_SECONDS)
        self._child.kill()
        raise BackgroundError(f"The sidecar did not answer within {START_SECONDS:.0f} s: see {home.log_file}.")

    def leave(self) -> None:
        """Let a tied child live on without us."""
        if self._child.stdin is not None:
            self._child.stdin.write(STAY)
            self._child.stdin.close()

    def close(self) -> None:
        """End a tied child: politely first, and for good when it takes too long."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            tell_to_stop(self.running)
            self._child.kill()
            self._child.wait()


def _spawn(home: Home, arguments: Sequence[str], *, tied: bool) -> subprocess.Popen[bytes]:
    """Runs `python -m sidecar` where our packages are, so that a user's folder full of modules cannot shadow them."""
    command = [sys.executable, "-m", "sidecar", "up", "--headless", "--log-to-file", *arguments]
    creation = 0
    if sys.platform == "win32":
        creation = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    replace_privately(home.start_file, b"")
    with home.start_file.open("wb") as said:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module, no shell
            command,
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=IMPORT_ROOT,
            env={**os.environ, "CGW_HOME": str(home.path)},
            start_new_session=True,
            creationflags=creation,
            umask=PRIVATE_UMASK,
        )


def _last_words(home: Home, exit_code: int) -> str:
    said = home.start_file.read_text(encoding="utf-8", errors="replace").strip()
    if said.startswith("cgw: "):
        return said.removeprefix("cgw: ")
    return f"The sidecar ended with exit code {exit_code} while it started: see {home.start_file} and {home.log_file}."
