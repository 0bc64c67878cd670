"""A sidecar in this process: the same as `cgw up`, with its settings from the caller alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from sidecar.application import sidecar_app
from sidecar.commands.sockets import listening_socket, reachable_url
from sidecar.config import Settings
from sidecar.home import Home
from sidecar.uvicorn_server import Server

HOST = "127.0.0.1"


@asynccontextmanager
async def sidecar_in_process(settings: Settings, home: Home) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Listens on a free loopback port while the block runs; gives its URL and the task that serves, which ends when a
    signal stops it. Its accounts are closed at the end."""
    home.open()
    with closing(listening_socket(HOST, 0)) as sock:
        url = reachable_url(sock)
        async with sidecar_app(settings, home, url=url) as app:
            ready = asyncio.Event()
            server = Server(app, on_ready=ready.set)
            serving = asyncio.create_task(server.serve(sockets=[sock]), name="serve in this process")
            try:
                await ready.wait()
                yield url, serving
            finally:
                server.should_exit = True
                await asyncio.wait({serving})
