"""Requests on aiohttp's connections: its pool, TLS, proxies and parser, and nothing of what it does beside them.

`ClientSession.request` takes 150 us of CPU for a small one: addresses, cookies, redirects, middlewares, a task that
writes. Here the host never changes and neither do most lines of the head, and it takes 60.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Self

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from sidecar.lost_peers import upstream_socket

HEADS: Final = 256
"""Heads that are remembered: a client's are the same from one request to the next, but for their length."""
WRITTEN_WITH_ITS_HEAD: Final = 16 * 1024
"""Bytes of a body up to which copying it is cheaper than a second write."""
BUFFER_BYTES: Final = 64 * 1024
"""Of an answer that nobody reads: then the peer waits."""


class Received:
    """The head of an answer; `content` comes as it is read. `release` it, read or not."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(self, connection: Connection, message: RawResponseMessage, content: StreamReader) -> None:
        self._connection = connection
        self.status: Final = message.code
        self.headers: Final = message.headers
        self.content: Final = content

    async def body(self, most: int) -> bytes:
        """All of it, unpacked. Raises ValueError for one of more than `most` bytes (a few packed ones may hold
        gigabytes), and whatever aiohttp does for one that breaks off."""
        content = self.content
        if content.is_eof() and content.total_bytes <= most:
            return content.read_nowait()
        chunks, size = [], 0
        async for chunk in content.iter_any():
            size += len(chunk)
            if size > most:
                raise ValueError(f"more than {most:,} bytes came")
            chunks.append(chunk)
        return b"".join(chunks)

    def release(self) -> None:
        """To the pool where all of the answer came; else the connection is closed, and with it the request."""
        if self.content.is_eof():
            self._connection.release()
        else:
            self._connection.close()


class Connections:
    """To one address. Use as an async context manager."""

    def __init__(self, base_url: str, *, proxy: str | None, timeout: aiohttp.ClientTimeout) -> None:
        self._base_url = base_url
        self._proxy = URL(proxy) if proxy else None
        self._timeout = timeout
        self._head = lru_cache(HEADS)(self._written)

    async def __aenter__(self) -> Self:
        self._connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, socket_factory=upstream_socket)
        # What tells a connector where to connect: the same for every request.
        url, loop = URL(self._base_url), asyncio.get_running_loop()
        self._to = aiohttp.ClientRequest("POST", url, loop=loop, proxy=self._proxy)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connector.close()

    async def ask(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes | None) -> Received:
        """One request; `headers` have lower-case names. Raises what aiohttp does for a connection that cannot be made
        or breaks, and TimeoutError."""
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

    async def _asked(self, connection: Connection, head: bytes, body: bytes | None) -> Received:
        protocol = connection.protocol
        if protocol is None or protocol.transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            read_until_eof=True, read_timeout=self._timeout.sock_read, read_bufsize=BUFFER_BYTES
        )
        if body is None:
            protocol.transport.write(head + b"\r\n")
        else:
            head += b"content-length: %d\r\n\r\n" % len(body)
            if len(body) <= WRITTEN_WITH_ITS_HEAD:
                protocol.transport.write(head + body)
            else:
                protocol.transport.writelines((head, body))
        protocol.start_timeout()
        while True:
            message, content = await protocol.read()
            if message.code >= 200 or message.code == 101:
                return Received(connection, message, content)

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
