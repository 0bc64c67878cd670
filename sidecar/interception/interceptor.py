"""Keeps the interceptor running beside the sidecar: starts the child, hears it, starts it again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from sidecar.config import Settings, environment_name, is_loopback
from sidecar.exchange import Json
from sidecar.home import Home, HomeError
from sidecar.interception.authority import ensure
from sidecar.interception.wire import LISTEN_HOST, Orders, Report
from sidecar.user_errors import UserError

log = logging.getLogger(__name__)

State = Literal["starting", "running", "restarting", "stopping"]

OFF: Final[Json] = {"state": "off"}
"""What is told of an interceptor that nobody asked for."""

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
SOUND_SECONDS: Final = 60.0
"""One that ran for so long starts a new series when it ends."""

END_SECONDS: Final = 5.0
"""How long it may take to end once the sidecar itself has answered everything."""

IMPORT_ROOT: Final = Path(__file__).parents[2]
NAMES_OF_OURS: Final = frozenset(name for field in Settings.model_fields if (name := environment_name(field)))


class InterceptorError(UserError):
    """The interceptor cannot be started; the message is one sentence with what to do."""


def pause_after(failures: int) -> float:
    """Seconds before it is started again, when it ended `failures` times in a row (from 1)."""
    return min(FIRST_PAUSE_SECONDS * (1 << min(failures - 1, 30)), LONGEST_PAUSE_SECONDS)


def free_port(port: int) -> int:
    """`port` itself, or a free one for 0: known before anything starts, and the same after each restart.

    Raises InterceptorError when it is taken.
    """
    try:
        with socket.create_server((LISTEN_HOST, port)) as listening:
            found: int = listening.getsockname()[1]
    except OSError as error:
        raise InterceptorError(
            f"The interceptor cannot listen on {LISTEN_HOST} port {port} ({error.strerror or error}): "
            "choose another with --intercept-port (0 takes a free one)."
        ) from error
    return found


def leads_through(proxy: str | None, port: int) -> bool:
    """Whether a proxy's URL, as variables have it, is an interceptor's at this port of this machine."""
    if not proxy:
        return False
    address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        return address.port == port and is_loopback(address.hostname or "")
    except ValueError:  # no port at all
        return False


class Interceptor:
    """One interceptor in front of one sidecar, alive while `running()` is."""

    def __init__(
        self, settings: Settings, home: Home, *, key: str, sidecar_url: str, takes_over: int | None = None
    ) -> None:
        """`key` is the gateway's. Raises InterceptorError when the port is taken, or leads in a circle. It may be taken
        where this process takes over from one that is about to end: `takes_over` is the port of its interceptor, which
        stays the same where any would do, or 0 where it had none."""
        waited_for = 0 if takes_over is None else settings.intercept_port or takes_over
        self.port = waited_for or free_port(settings.intercept_port)
        self.url = f"http://{LISTEN_HOST}:{self.port}"
        if leads_through(settings.upstream_proxy, self.port):
            raise InterceptorError(
                "UPSTREAM_PROXY leads to the interceptor itself, so requests would go round in a circle: unset it, or "
                "name the proxy by which this machine reaches Anthropic."
            )
        self._settings = settings
        self._home = home
        self._key = key
        self._sidecar_url = sidecar_url
        self._state: State = "starting"
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._restarts = 0
        self._failure: str | None = None
        """Why the last one ended."""
        self._reported: str | None = None
        """What the one that runs says of why it cannot."""
        self._warning: str | None = None
        self._warned: datetime | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The block does not wait for it. At the end it gets `END_SECONDS`, so call `stop` before that."""
        keeping = asyncio.create_task(self._keep_running(), name="keep the interceptor running")
        try:
            yield
        finally:
            self.stop()
            done, _ = await asyncio.wait({keeping}, timeout=END_SECONDS)
            if not done:
                keeping.cancel()
                await asyncio.wait({keeping})

    def stop(self) -> None:
        """It takes nothing new from now on, and ends when the answers in flight are out. May be called twice."""
        self._state = "stopping"
        self._stopping.set()
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()

    def health(self) -> Json:
        """For `GET /health`, which anyone on this machine may read."""
        told: Json = {
            "state": self._state,
            "url": self.url,
            "hosts": list(self._settings.intercept_hosts),
            "subscriptions": self._settings.intercept_subscriptions,
            "restarts": self._restarts,
        }
        if self._child is not None:
            told["pid"] = self._child.pid
        if self._state == "restarting":
            told["error"] = self._failure
        if self._warning is not None and self._warned is not None:
            told["warning"] = self._warning
            told["warned"] = self._warned.isoformat(timespec="seconds")
        return told

    async def _keep_running(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._run_once()
            except (OSError, HomeError) as error:
                self._failure = str(error)
            if self._stopping.is_set():
                return
            failures = 1 if time.monotonic() - began > SOUND_SECONDS else failures + 1
            pause = pause_after(failures)
            self._state = "restarting"
            self._restarts += 1
            log.warning("The interceptor ended (%s); it is started again in %.0f s.", self._failure, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run_once(self) -> None:
        """Until it ends, for whatever reason."""
        hosts = self._settings.intercept_hosts
        authority = await asyncio.to_thread(ensure, self._home, hosts)
        orders = Orders(
            key=self._key,
            sidecar_url=self._sidecar_url,
            port=self.port,
            hosts=hosts,
            subscriptions=self._settings.intercept_subscriptions,
            authority=str(authority.folder),
            trusted=str(authority.bundle),
        )
        child = await _spawn()
        assert child.stdin is not None
        assert child.stdout is not None
        self._child = child
        self._reported = None
        try:
            child.stdin.write(orders.line())
            if self._stopping.is_set():
                child.stdin.close()
            async for line in child.stdout:
                self._hear(Report.of_line(line))
            code = await child.wait()
            self._failure = self._reported or f"exit code {code}"
        finally:
            self._child = None
            if child.returncode is None:
                child.kill()
                await child.wait()

    def _hear(self, report: Report) -> None:
        if report.ready and not self._stopping.is_set():
            self._state = "running"
            log.info("The interceptor listens on %s for %s.", self.url, ", ".join(self._settings.intercept_hosts))
        if report.failure is not None:
            self._reported = report.failure
        if report.warning:
            self._warning, self._warned = report.warning, datetime.now(UTC)
            log.warning("interceptor: %s", report.warning)


async def _spawn() -> asyncio.subprocess.Process:
    """In a session of its own, so that Ctrl-C reaches the sidecar alone, which then sees to it that it ends."""
    creation = 0
    if sys.platform == "win32":
        creation = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sidecar.interceptor",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=IMPORT_ROOT,
        env=_environment(os.environ),
        start_new_session=True,
        creationflags=creation,
    )


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Without our settings: it has its orders, and the keys among them are none of its business."""
    return {name: value for name, value in environ.items() if name not in NAMES_OF_OURS}
