"""A restart that nobody notices: the new process gets the listening socket and the lock of the home folder, and the old
one, which goes on until the new one answers, then gives the answers it has begun and ends.

Windows cannot hand a socket on like that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Final, Self

from sidecar.commands.running import IMPORT_ROOT, POLL_SECONDS, START_SECONDS, Claim, find
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.home import Home

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
"""How often is looked whether a successor still runs."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What an earlier process leaves: two file descriptors, and the port of its interceptor (0 without one)."""

    sock: int
    lock: int
    intercept_port: int

    @classmethod
    def of(cls, text: str) -> Self:
        """`3:5:4344`. Raises ValueError."""
        sock, lock, intercept_port = text.split(":")
        return cls(int(sock), int(lock), int(intercept_port))

    def __str__(self) -> str:
        return f"{self.sock}:{self.lock}:{self.intercept_port}"

    def listening_socket(self) -> socket.socket:
        os.set_inheritable(self.sock, False)
        os.set_inheritable(self.lock, False)
        sock = socket.socket(fileno=self.sock)
        sock.setblocking(False)
        return sock


class Handover:
    """`start` the successor; from then on the home folder is its own."""

    def __init__(self, home: Home, claim: Claim, sock: socket.socket, arguments: Sequence[str]) -> None:
        """`arguments` are those of `cgw up` that the sidecar was started with, paths absolute."""
        self._home: Final = home
        self._claim: Final = claim
        self._sock: Final = sock
        self._arguments: Final = arguments
        self._starting = asyncio.Lock()
        self.successor: subprocess.Popen[bytes] | None = None

    async def start(self, intercept_port: int) -> Json:
        """`intercept_port` is where our interceptor listens, 0 without one: a free port that it took stays the same.
        Returns once the successor answers. Raises GatewayError (500) where it does not; then nothing has changed."""
        async with self._starting:
            if self.successor is not None:
                raise GatewayError("api_error", "A restart is under way already.", status=409, code="restarting")
            child = self._spawn(intercept_port)
            if not await self._answers(child):
                raise GatewayError(
                    "api_error",
                    "The new process does not start, so the old one goes on: "
                    f"{await asyncio.to_thread(self._last_words, child)}",
                    code="restart_failed",
                )
            self.successor = child
            if not self.in_background:
                self._hand_signals_on()
            self._claim.pass_on()
        log.info("Process %d takes over; this one gives the answers that it has begun.", child.pid)
        return {"pid": child.pid, "before": os.getpid()}

    async def successor_ended(self) -> None:
        """Returns once the successor has, however it did."""
        assert self.successor is not None
        while self.successor.poll() is None:  # noqa: ASYNC110  # no thread waits for it: it would hold up our own end
            await asyncio.sleep(LOOK_SECONDS)

    def stand_for_it(self) -> int:
        """Wait for the successor: whoever started this process knows no other. Its exit code."""
        assert self.successor is not None
        return self.successor.wait()

    def _hand_signals_on(self) -> None:
        """From now to the end of this process, whatever it is doing then: its last answers, or nothing but waiting."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, partial(self._told, signal.getsignal(number)))

    def _told(self, earlier: object, number: int, frame: FrameType | None) -> None:
        assert self.successor is not None
        if number != signal.SIGINT:  # a terminal tells it as well
            self.successor.send_signal(number)
        if number != signal.SIGHUP and callable(earlier):
            with suppress(RuntimeError):  # there is nothing left that could be ended sooner
                earlier(number, frame)

    def _spawn(self, intercept_port: int) -> subprocess.Popen[bytes]:
        inheritance = Inheritance(self._sock.fileno(), self._claim.descriptor, intercept_port)
        command = [sys.executable, "-m", "sidecar", "up", "--headless", f"--inherit={inheritance}", *self._arguments]
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module, no shell
            command,
            pass_fds=(inheritance.sock, inheritance.lock),
            cwd=IMPORT_ROOT,
            env={**os.environ, "CGW_HOME": str(self._home.path)},
            stdout=subprocess.DEVNULL if self.in_background else None,
            stderr=self._home.start_file.open("wb") if self.in_background else None,
        )

    @property
    def in_background(self) -> bool:
        """Whether nobody waits for this very process."""
        return "--log-to-file" in self._arguments

    async def _answers(self, child: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while child.poll() is None and time.monotonic() < deadline:
            running = find(self._home)
            if running is not None and running.pid == child.pid:
                return True
            await asyncio.sleep(POLL_SECONDS)
        child.kill()
        child.wait()
        return False

    def _last_words(self, child: subprocess.Popen[bytes]) -> str:
        if not self.in_background:
            return "its terminal says why."
        said = self._home.start_file.read_text(encoding="utf-8", errors="replace").strip()
        return said.removeprefix("cgw: ") if said.startswith("cgw: ") else f"exit code {child.returncode}."
