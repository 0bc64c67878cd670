"""Claude's HTTP API: bytes out, raw event bytes in.

aiohttp carries the bytes, since it costs a tenth of the SDK's own data plane; the SDK says how to sign them
(`credentials`). Leaving a `post` block, however it happens, closes the connection unless the answer was read to its
end, so cancelling the task cancels the request at Anthropic's side.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Self

import aiohttp

from sidecar import __version__
from sidecar.credentials import wire_headers
from sidecar.dialects.anthropic_messages import decode_upstream_error
from sidecar.errors import GatewayError
from sidecar.sse import Events, EventSplitter

CONNECT_SECONDS = 10.0

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
    """A 2xx answer whose body has not been read yet."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = _end_to_end(response)

    @property
    def is_stream(self) -> bool:
        return self._response.content_type == "text/event-stream"

    async def body(self) -> bytes:
        """The whole body. Raises GatewayError when the connection breaks first, or too much comes."""
        try:
            return await _bounded(self._response, ANSWER_BYTES)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _broken(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises GatewayError when it breaks off."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _broken(error) from error

    async def events(self) -> AsyncIterator[Events]:
        """The events of each network read, together. Raises GatewayError when the stream breaks off."""
        splitter = EventSplitter()
        try:
            async for chunk in self._response.content.iter_any():
                if (events := splitter.take(chunk)) is not None:
                    yield events
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _broken(error) from error


class Upstream:
    """One connection pool to Anthropic. Use as an async context manager."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        api_version: str | None = None,
        proxy: str | None = None,
        timeout_seconds: float = 600.0,
        sdk_headers: Path | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._api_version = api_version
        self._sdk_headers = sdk_headers
        self._proxy = proxy
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._signing: asyncio.Task[dict[str, str]] | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            trust_env=False,
            auto_decompress=True,
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"cgw/{__version__}", "Accept-Encoding": "identity"},
        )
        self._signing = asyncio.create_task(
            wire_headers(self._api_key, self.base_url, remembered=self._sdk_headers), name="ask the anthropic SDK"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._signing is not None:
            self._signing.cancel()
        if self._session is not None:
            await self._session.close()

    async def api_version(self) -> str:
        """The `anthropic-version` that requests carry when the client names none."""
        return (await self._signed())["anthropic-version"]

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], *, query: str = ""
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """`send` for what has a body."""
        return self.send("POST", path, body, headers, query=query)

    @asynccontextmanager
    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, query: str = ""
    ) -> AsyncIterator[UpstreamAnswer]:
        """One request to `path` (`/v1/messages`).

        `headers` are the client's that may go on; the credential is ours. Raises GatewayError for any status but 2xx
        (with the upstream's own body in `raw`) and for a connection that cannot be made or breaks.
        """
        assert self._session is not None, "use Upstream as a context manager"
        signed = {**await self._signed(), **headers}
        if body is not None:
            signed["content-type"] = "application/json"
        url = f"{self.base_url}{path}?{query}" if query else self.base_url + path
        try:
            response = await self._session.request(
                method, url, data=body, headers=signed, proxy=self._proxy, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        try:
            if not 200 <= response.status < 300:
                raise await _refusal(response)
            yield UpstreamAnswer(response)
        finally:
            if not response.content.at_eof():
                response.close()
            response.release()

    async def _signed(self) -> dict[str, str]:
        assert self._signing is not None, "use Upstream as a context manager"
        signed = await asyncio.shield(self._signing)
        return signed | {"anthropic-version": self._api_version} if self._api_version else signed

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
                why = f"{_first_line(error.message)}."
            case _:
                why = f"{error or type(error).__name__}."
        return GatewayError(
            "api_error", f"cgw cannot reach {self.base_url}: {why}", status=502, code=code, upstream=True
        )


async def _refusal(response: aiohttp.ClientResponse) -> GatewayError:
    try:
        body = await _bounded(response, REFUSAL_BYTES)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        body = b""
    headers = {name.lower(): value for name, value in response.headers.items()}
    error = decode_upstream_error(response.status, body, headers)
    error.headers = _end_to_end(response)
    return error


async def _bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body, unpacked. Raises ValueError for one of more than `most` bytes: a few packed ones may hold
    gigabytes."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            raise ValueError(f"more than {most:,} bytes came")
        chunks.append(chunk)
    return b"".join(chunks)


def _end_to_end(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for raw, value in response.headers.items() if (name := raw.lower()) not in HOP_BY_HOP}


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
