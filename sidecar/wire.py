"""The half of `upstream` that needs aiohttp: requests on its connections, what comes back, and what went wrong."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Self

import aiohttp

from sidecar.connections import Connections, Received
from sidecar.dialects.anthropic_messages import decode_upstream_error
from sidecar.errors import GatewayError
from sidecar.sse import Events, EventSplitter

CONNECT_SECONDS = 10.0
LONGEST_REASON = 200
"""Characters of what a connection failed with: some quote all that came."""

ANSWER_BYTES = 32 * 1024 * 1024
REFUSAL_BYTES = 1024 * 1024
"""What a whole answer, and the body of an error, may be at most."""

HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Response headers that describe one connection or one encoding of the body, not the answer (RFC 9110, section
7.6.1)."""


class UpstreamAnswer:
    """A 2xx answer whose body has not been read yet. `release` it, read or not."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self.status = received.status
        self.headers = _end_to_end(received.headers)
        self._splitter = EventSplitter()

    @property
    def is_stream(self) -> bool:
        kind, _, _ = self._received.headers.get("content-type", "").partition(";")
        return kind.strip().lower() == "text/event-stream"

    async def body(self) -> bytes:
        """The whole body. Raises GatewayError when the connection breaks first, or too much comes."""
        try:
            return await self._received.body(ANSWER_BYTES)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _broken(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises GatewayError when it breaks off."""
        try:
            while chunk := await self._received.chunk():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _broken(error) from error

    async def events(self) -> Events | None:
        """The next events, those that one read of the network completes together; None behind the last. Raises
        GatewayError when the stream breaks off. (An async generator would be registered with the loop, and let go.)"""
        try:
            while chunk := await self._received.chunk():
                if (events := self._splitter.take(chunk)) is not None:
                    return events
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _broken(error) from error
        return None

    def release(self) -> None:
        """Closes the connection where the answer was not read to its end."""
        self._received.release()


class Wire:
    """Connections to one address. Use as an async context manager."""

    def __init__(self, base_url: str, *, proxy: str | None, timeout_seconds: float) -> None:
        self._base_url = base_url
        self._connections = Connections(
            base_url,
            proxy=proxy,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=timeout_seconds),
        )

    async def __aenter__(self) -> Self:
        await self._connections.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.__aexit__()

    async def ask(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: Sequence[bytes]
    ) -> UpstreamAnswer:
        """`Upstream.ask`, with all headers that are to go out."""
        try:
            received = await self._connections.ask(method, path, query, headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        if 200 <= received.status < 300:
            return UpstreamAnswer(received)
        try:
            raise await _refusal(received)
        finally:
            received.release()

    def _unreachable(self, error: Exception) -> GatewayError:
        code = "upstream_unreachable"
        match error:
            case aiohttp.ClientConnectorDNSError():
                why = "its name cannot be resolved: is this machine online?"
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
                why = f"its TLS certificate was not accepted ({error}): is a proxy in between?"
                code = "upstream_untrusted"
            case TimeoutError():
                why = "it did not answer in time."
            case aiohttp.ClientResponseError():  # all of it would quote the address, a proxy's password included
                why = f"{_first_line(error.message)[:LONGEST_REASON]}."
            case _:
                why = f"{_first_line(str(error))[:LONGEST_REASON] or type(error).__name__}."
        return GatewayError(
            "api_error", f"cgw cannot reach {self._base_url}: {why}", status=502, code=code, upstream=True
        )


async def _refusal(received: Received) -> GatewayError:
    try:
        body = await received.body(REFUSAL_BYTES)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        body = b""
    headers = {name.lower(): value for name, value in received.headers.items()}
    error = decode_upstream_error(received.status, body, headers)
    error.headers = _end_to_end(received.headers)
    return error


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for raw, value in headers.items() if (name := raw.lower()) not in HOP_BY_HOP}


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(":")


def _broken(error: Exception) -> GatewayError:
    why = " ".join(str(error).split()) or type(error).__name__
    return GatewayError(
        "api_error",
        f"The connection to Claude broke before the answer was complete ({why}).",
        status=502,
        code="upstream_broken",
        upstream=True,
    )
