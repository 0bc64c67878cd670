"""The simulator on a socket, in a thread of its own: for tests, for the demo and for `cgw simulate`."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from sidecar.simulator.delivery import ConnectionCutError
from sidecar.simulator.simulator import DEFAULT_KEY, Simulator


class RunningSimulator:
    """A simulator that listens on a free loopback port from construction to `close()`.

    `simulator` may be one of your own; else one is made that takes `api_key`.
    """

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_KEY,
        simulator: Simulator | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.api_key = api_key
        self.simulator = simulator or Simulator(keys=[api_key])
        self._socket = _listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        """The base URL, without `/v1`."""
        self._server = _server(self.simulator)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._up = threading.Event()
        self._thread.start()
        self._up.wait()

    def close(self) -> None:
        """Stops listening and cuts what is being answered. May be called twice."""
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(self._stop)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.simulator.closing = asyncio.Event()
        self._up.set()
        await self._server.serve(sockets=[self._socket])

    def _stop(self) -> None:
        self.simulator.closing.set()
        self._server.should_exit = True


def _listening(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's 40 ms off only where it sees the protocol, which `socket.create_server` leaves out.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _protocol(simulator: Simulator) -> type[asyncio.Protocol]:
    """uvicorn's, with its connections where a script can tear them down."""

    class Known(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            simulator.connections.made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            simulator.connections.lost(self.transport)
            super().connection_lost(exc)

    return Known


def _server(simulator: Simulator) -> uvicorn.Server:
    logging.getLogger("uvicorn.error").addFilter(_scripted_cuts_are_no_errors)
    return uvicorn.Server(
        uvicorn.Config(
            simulator.app,
            log_config=None,
            log_level=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=60,  # uvicorn's five seconds end a connection just as a client takes it up again
            http=_protocol(simulator),
        )
    )


def _scripted_cuts_are_no_errors(record: logging.LogRecord) -> bool:
    """Lets everything through but the server's report of a connection that the script cut."""
    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionCutError))
