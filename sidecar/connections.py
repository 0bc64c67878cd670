"""Requests on aiohttp's connections: its pool, TLS, proxies and parser, and nothing of what it does beside them.

`ClientSession.request` takes 150 us of CPU for a small one: addresses, cookies, redirects, middlewares, a task that
writes. Here the host never changes and neither do most lines of the head, and it takes 60.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Final, Self, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from sidecar.lost_peers import upstream_socket

HEADS: Final = 256
"""Heads that are remembered: a client's are the same from one request to the next, but for their length."""
WRITTEN_WITH_ITS_HEAD: Final = 16 * 1024
"""Bytes of a body up to which copying it is cheaper than a second write."""
BUFFER_BYTES: Final = 256 * 1024
"""Of an answer that nobody reads: then the peer waits."""
NEVER: Final = 1e9
"""Seconds."""


class Received:
    """The head of an answer, and its body as it comes. `release` it, read or not."""

    __slots__ = ("_connection", "_content", "_silence", "headers", "status")

    def __init__(
        self, connection: Connection, message: RawResponseMessage, content: StreamReader, silence: _Silence
    ) -> None:
        self._connection = connection
        self._content = content
        self._silence = silence
        self.status: Final = message.code
        self.headers: Final = message.headers

    async def chunk(self) -> bytes:
        """What the next read of the network brings; nothing once all of it came. Raises what aiohttp does for a body
        that breaks off."""
        silence = self._silence
        silence.begin(self._content)
        chunk = await self._content.readany()
        silence.end()
        return chunk

    async def body(self, most: int) -> bytes:
        """All of it, unpacked. Raises ValueError for one of more than `most` bytes (a few packed ones may hold
        gigabytes), and as `chunk`."""
        content = self._content
        if content.is_eof() and content.total_bytes <= most:
            return content.read_nowait()
        chunks, size = [], 0
        while chunk := await self.chunk():
            size += len(chunk)
            if size > most:
                raise ValueError(f"more than {most:,} bytes came")
            chunks.append(chunk)
        return b"".join(chunks)

    def release(self) -> None:
        """To the pool where all of the answer came; else the connection is closed, and with it the request."""
        self._silence.over()
        if self._content.is_eof():
            self._connection.release()
        else:
            self._connection.close()


class _Protocol(ResponseHandler):
    """aiohttp's own has its parser read on whenever a chunk is taken from its buffer, stopped or not: a quarter of what
    a chunk takes there."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        if self._reading_paused:
            super().resume_reading(resume_parser)


class _Silence:
    """Ends a wait for the peer's next bytes that is too long. It is one timer for each request; aiohttp sets one anew
    for each read of the network."""

    __slots__ = ("_longest", "_loop", "_reader", "_since", "_timer")

    def __init__(self, longest: float) -> None:
        """`longest` in seconds."""
        self._longest = longest
        self._loop = asyncio.get_running_loop()
        self._reader: StreamReader | ResponseHandler | None = None
        """Who waits; None while nobody does."""
        self._since = 0.0
        self._timer = self._loop.call_later(longest, self._look)

    def begin(self, reader: StreamReader | ResponseHandler) -> None:
        self._since = self._loop.time()
        self._reader = reader

    def end(self) -> None:
        self._reader = None

    def over(self) -> None:
        self._reader = None
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        since = now if self._reader is None else self._since
        if self._reader is not None and now >= since + self._longest:
            self._reader.set_exception(aiohttp.SocketTimeoutError("Timeout on reading data from socket"))
        else:
            self._timer = self._loop.call_at(since + self._longest, self._look)


class Connections:
    """To one address. Use as an async context manager."""

    def __init__(self, base_url: str, *, proxy: str | None, timeout: aiohttp.ClientTimeout) -> None:
        self._base_url = base_url
        self._proxy = URL(proxy) if proxy else None
        self._timeout = timeout
        self._head = lru_cache(HEADS)(self._written)

    async def __aenter__(self) -> Self:
        self._connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, socket_factory=upstream_socket)
        url, loop = URL(self._base_url), asyncio.get_running_loop()
        self._connector._factory = cast("partial[ResponseHandler]", partial(_Protocol, loop=loop))  # noqa: SLF001  # it has no other way
        # What tells a connector where to connect: the same for every request.
        self._to = aiohttp.ClientRequest("POST", url, loop=loop, proxy=self._proxy)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connector.close()

    async def ask(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: Sequence[bytes]
    ) -> Received:
        """One request; `headers` have lower-case names, and `body` is in pieces, of which none is copied if they are
        long. Raises what aiohttp does for a connection that cannot be made or breaks, and TimeoutError."""
        connection = await self._connector.connect(self._to, traces=[], timeout=self._timeout)
        try:
            head = self._head(
                method, path, query, tuple(headers.items())
            )  # once connected: then a proxy's word is known
            return await self._asked(connection, head, body)
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientPayloadError(error.message) from error
        except BaseException:
            connection.close()
            raise

    async def _asked(self, connection: Connection, head: bytes, body: Sequence[bytes]) -> Received:
        protocol = connection.protocol
        if protocol is None or protocol.transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True, read_bufsize=BUFFER_BYTES)
        if not body:
            protocol.transport.write(head + b"\r\n")
        else:
            size = sum(map(len, body))
            pieces = (head, b"content-length: %d\r\n\r\n" % size, *body)
            if size <= WRITTEN_WITH_ITS_HEAD:
                protocol.transport.write(b"".join(pieces))
            else:
                protocol.transport.writelines(pieces)
        silence = _Silence(self._timeout.sock_read or NEVER)
        try:
            while True:
                silence.begin(protocol)
                message, content = await protocol.read()
                if message.code >= 200 or message.code == 101:
                    silence.end()
                    return Received(connection, message, content, silence)
        except BaseException:
            silence.over()
            raise

    def _written(self, method: str, path: str, query: str, headers: tuple[tuple[str, str], ...]) -> bytes:
        """The head without its end. Raises ValueError for a header of two lines."""
        url = URL(f"{self._base_url}{path}?{query}" if query else self._base_url + path)
        through_proxy = self._proxy is not None and url.scheme == "http"
        told = {"host": self._to.headers["Host"], **dict(headers)}
        if through_proxy and (credentials := self._to.headers.get("Proxy-Authorization")) is not None:
            told["proxy-authorization"] = credentials
        lines = [f"{method} {url if through_proxy else url.raw_path_qs} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in told.items()]
        if any("\r" in line or "\n" in line or "\0" in line for line in lines):
            raise ValueError("a header of the request has a line end in it")
        return "".join(f"{line}\r\n" for line in lines).encode()
