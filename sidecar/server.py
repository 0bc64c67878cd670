"""One running sidecar: serves on a bound socket, hears signals, hands over, ends cleanly."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette

from sidecar import uvicorn_server
from sidecar.application import gateway_key_of, sidecar_app
from sidecar.commands.sockets import reachable_url
from sidecar.config import Settings
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.home import Home
from sidecar.house import Asked, House
from sidecar.interception.interceptor import Interceptor
from sidecar.reloading import Reloadable
from sidecar.uvicorn_server import Server

log = logging.getLogger(__name__)

HANDED_OVER_SECONDS = 600
"""How long answers in flight may go on where another process has the port already, so that nobody waits for the end of
this one."""


async def serve(
    settings: Settings,
    home: Home,
    *,
    sock: socket.socket,
    addon_files: Sequence[Path] = (),
    on_ready: Callable[[], None] | None = None,
    read: Callable[[], Settings] | None = None,
    restart: Callable[[int], Awaitable[Json]] | None = None,
    successor_ended: Callable[[], Awaitable[None]] | None = None,
    takes_over: int | None = None,
    reload_on_hangup: bool = False,
) -> None:
    """Serves until SIGINT or SIGTERM, then lets answers in flight finish for up to `uvicorn_server.DRAIN_SECONDS`.

    `read` reads the settings anew; `restart` is given the port of our interceptor (0 without one) and returns once
    another process answers on `sock`, and this one then ends with its last answer, or soon after the other one, which
    `successor_ended` waits for. `takes_over` is that port where this one is such another.

    Raises StartError, InterceptorError or UserFileError, each with one sentence for the user.
    """
    url = reachable_url(sock)
    house = House.of(settings, home)
    interceptor = None
    if settings.intercept:
        key = gateway_key_of(settings, home)
        interceptor = Interceptor(settings, home, key=key, sidecar_url=url, takes_over=takes_over)

    @asynccontextmanager
    async def make(settings: Settings) -> AsyncIterator[Starlette]:
        async with sidecar_app(
            settings, home, url=url, addon_files=addon_files, interceptor=interceptor, house=house
        ) as app:
            house.furnish(settings)  # only what can be used
            yield app

    async with AsyncExitStack() as running:
        running.push_async_callback(asyncio.to_thread, house.recorder.close)
        app = await running.enter_async_context(Reloadable(settings, make, read))
        if interceptor is not None:
            await running.enter_async_context(interceptor.running())
        server = Server(app, on_ready=on_ready, on_stopping=interceptor.stop if interceptor else None)

        async def restarted() -> Json:
            assert restart is not None
            for listener in app.state.on_followed:  # for a moment both take what comes
                listener()
            told = await restart(interceptor.port if interceptor is not None else 0)
            server.drain_seconds = HANDED_OVER_SECONDS
            server.should_exit = True
            if successor_ended is not None:
                last.append(asyncio.create_task(end_soon_after(successor_ended), name="watch the successor"))
            return told

        async def end_soon_after(other: Callable[[], Awaitable[None]]) -> None:
            """Whoever started this process starts another one only when it has ended, and nobody has the port now."""
            await other()
            log.warning(
                "The process that took over has ended: what is not answered here in %s s is cut.",
                uvicorn_server.DRAIN_SECONDS,
            )
            await asyncio.sleep(uvicorn_server.DRAIN_SECONDS)
            server.cut_short()

        last: list[asyncio.Task[None]] = []

        house.reload = app.reload if read else None
        house.restart = restarted if restart else None
        with _told_by_signals(server, reload=app.reload if reload_on_hangup and read else None):
            try:
                await server.serve(sockets=[sock])
            finally:
                for task in last:
                    task.cancel()


@contextmanager
def _told_by_signals(server: Server, *, reload: Asked | None) -> Iterator[None]:
    """The first wish to end drains, the second one cuts off what is not answered yet, the third one ends at once. A
    hang-up reads the settings anew. Only the main thread may listen to signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    loop = asyncio.get_running_loop()
    told = 0

    def stop(*_: object) -> None:
        nonlocal told
        told += 1
        server.should_exit = True
        if told > 1:
            loop.call_soon_threadsafe(server.cut_short if told == 2 else server.hang_up)

    async def read_anew() -> None:
        assert reload is not None
        with suppress(GatewayError):  # the log has it
            await reload()

    def hang_up(*_: object) -> None:
        loop.call_soon_threadsafe(lambda: reading.add(loop.create_task(read_anew(), name="read the settings anew")))

    reading: set[asyncio.Task[None]] = set()
    ours: dict[signal.Signals, Callable[..., None]] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if reload is not None and sys.platform != "win32":
        ours[signal.SIGHUP] = hang_up
    before = {number: signal.signal(number, handler) for number, handler in ours.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is ours[number]:  # a handover keeps them
                signal.signal(number, handler)
