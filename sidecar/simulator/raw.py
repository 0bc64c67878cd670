"""Bytes that no Claude would send, and connections torn down under an answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sidecar.simulator.answers import Raw
from sidecar.simulator.delivery import ConnectionCutError, body_message, rechunked

RST = struct.pack("ii", 1, 0)
"""SO_LINGER on, with no time: closing the socket sends a reset."""


class Connections:
    """The server's open connections, by the client's address."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def made(self, transport: asyncio.Transport) -> None:
        self._open[_client(transport)] = transport

    def lost(self, transport: asyncio.Transport) -> None:
        self._open.pop(_client(transport), None)

    def close(self, client: tuple[str, int], *, reset: bool) -> None:
        """At once, without the end of what is being answered."""
        transport = self._open[client]
        if reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            transport.abort()
        else:
            transport.close()


def _client(transport: asyncio.Transport) -> tuple[str, int]:
    host, port = transport.get_extra_info("peername")[:2]
    return host, port


class RawDelivery(Response):
    """A `Raw` as Starlette's response. `end` is called once, whatever happens."""

    def __init__(self, raw: Raw, connections: Connections, end: Callable[[], None]) -> None:
        super().__init__()
        self._raw = raw
        self._connections = connections
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._run(scope, send)
        finally:
            self._end()

    async def _run(self, scope: Scope, send: Send) -> None:
        if self._raw.body is not None:
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._raw.headers.items()]
            await send({"type": "http.response.start", "status": self._raw.status, "headers": headers})
            async for piece in rechunked(_once(self._raw.body), self._raw.chunk_sizes):
                await send(body_message(piece))
        if self._raw.ending == "whole":
            await send(body_message(b"", more=False))
            return
        self._connections.close(scope["client"], reset=self._raw.ending == "reset")
        raise ConnectionCutError


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
