"""uvicorn, as the sidecar serves with it: how it begins, and how answers in flight come to their end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from sidecar.http_heads import HEAD_BYTES

DRAIN_SECONDS = 30
"""How long answers in flight may go on after a stop signal."""

FIRST_REQUEST_SECONDS = 0.5
"""How long a connection that was taken as it ended may still tell what it wants: no client would ask again."""

KEEP_ALIVE_SECONDS = 120
"""How long a connection may stay open between two requests: longer than clients keep one (httpx 5, aiohttp 15, Go and
Rust's reqwest 90). Were it ended here just as its client takes it up again, that request would be lost."""

LAST_WORDS_SECONDS = 2
"""How long those that were cut off then may take to read why."""


class Server(uvicorn.Server):
    """uvicorn, but the signals stay ours and start-up is announced."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        on_ready: Callable[[], None] | None = None,
        on_stopping: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                http=_http_protocol(),
                h11_max_incomplete_event_size=HEAD_BYTES,
                ws="none",
            )
        )
        self._on_ready = on_ready
        self._on_stopping = on_stopping
        self.drain_seconds = DRAIN_SECONDS
        """How long answers in flight may go on once it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell("on_ready")
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._on_stopping is not None:
            self._on_stopping()
        self._tell("on_stopping")
        cutting = asyncio.get_running_loop().call_later(self.drain_seconds, self.cut_short)
        self.config.timeout_graceful_shutdown = self.drain_seconds + 2 * LAST_WORDS_SECONDS
        try:
            await self._hear_the_last_ones()
            await super().shutdown(sockets)
        finally:
            cutting.cancel()

    async def _hear_the_last_ones(self) -> None:
        """uvicorn would close a connection whose first request it has not read yet: a reset for the client."""
        for server in self.servers:
            server.close()
        until = time.monotonic() + FIRST_REQUEST_SECONDS
        await asyncio.sleep(0)  # what was accepted just now is a connection then
        while not self.force_exit and time.monotonic() < until:
            if all(getattr(connection, "cycle", None) for connection in self.server_state.connections):
                return
            await asyncio.sleep(0.01)

    def cut_short(self) -> None:
        """What is not answered by now gets an error, and a moment to read it."""
        self._tell("on_cut")
        asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, self.hang_up)

    def hang_up(self) -> None:
        """Close every connection, read or not."""
        self.force_exit = True
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def _tell(self, moment: str) -> None:
        for listener in getattr(getattr(self.config.app, "state", None), moment, ()):
            listener()


def _http_protocol() -> type[asyncio.Protocol]:
    """The faster parser where it is installed."""
    try:
        from sidecar.http_protocol import BoundedHttp
    except ImportError:
        from sidecar.plain_http_protocol import BoundedH11

        return BoundedH11
    return BoundedHttp
