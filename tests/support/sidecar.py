"""A sidecar on a real socket, in a thread of its own, in front of the simulator."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sidecar.application import sidecar_app
from sidecar.commands.sockets import listening_socket
from sidecar.config import Settings
from sidecar.home import Home
from sidecar.simulator.server import RunningSimulator
from sidecar.uvicorn_server import Server
from tests.support.lived_in import furnish

GATEWAY_KEY = "cgw-key-of-the-tests"


class RunningSidecar:
    """Listens on a free loopback port while the block runs. `url` is the base URL without `/v1`."""

    def __init__(
        self, home: Path, upstream: RunningSimulator | str, *, addon_files: tuple[Path, ...] = (), **settings: Any
    ) -> None:
        url, key = (upstream, "sk-ant-none") if isinstance(upstream, str) else (upstream.url, upstream.api_key)
        given = {"anthropic_base_url": url, "anthropic_api_key": key, "gateway_api_key": GATEWAY_KEY}
        # A whole module's tests come to one sidecar: more than the default of sixty a minute, and with the same words.
        # A failure that a test scripts is its whole point, and not to be tried again.
        usual = {
            "rate_limit_enabled": False,
            "enable_response_cache": False,
            "retry_enabled": False,
            "circuit_breaker_enabled": False,
        }
        self.settings = Settings(**{**given, **usual, **settings})
        self.home = Home(home)
        self.home.open()
        furnish(self.home)
        self.key = GATEWAY_KEY
        self._addon_files = addon_files
        self._socket = listening_socket("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="sidecar", daemon=True)
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._up.wait(30):
            self._socket.close()
            raise TimeoutError("the sidecar did not start")
        return self

    def tasks(self) -> list[str]:
        """The names of the tasks on its loop, in order."""

        async def names() -> list[str]:
            return sorted(task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task())

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(names(), self._loop).result(30)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.force_exit = True
            self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive(), "the sidecar does not stop"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with sidecar_app(self.settings, self.home, url=self.url, addon_files=self._addon_files) as app:
            self._server = Server(app, on_ready=self._up.set)
            await self._server.serve(sockets=[self._socket])
