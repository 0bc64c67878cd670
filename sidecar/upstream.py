"""Claude's HTTP API: bytes out, raw event bytes in.

aiohttp carries the bytes, since it costs a tenth of the SDK's own data plane; the SDK says how to sign them
(`credentials`). Releasing an answer closes the connection unless all of it came, so cancelling the task cancels the
request at Anthropic's side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sidecar import __version__
from sidecar.credentials import wire_headers

if TYPE_CHECKING:
    from sidecar.wire import UpstreamAnswer, Wire

OURS = {"user-agent": f"cgw/{__version__}", "accept": "*/*", "accept-encoding": "identity"}


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
        self._timeout_seconds = timeout_seconds
        self._wire: Wire | None = None
        self._connecting: asyncio.Task[Wire] | None = None
        self._signing: asyncio.Task[dict[str, str]] | None = None
        self._signed: dict[str, str] | None = None
        """What every request carries that has no header of the same name."""

    async def __aenter__(self) -> Self:
        self._signing = asyncio.create_task(
            wire_headers(self._api_key, remembered=self._sdk_headers), name="ask the anthropic SDK"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self._signing, self._connecting) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)  # until a process that was asked is gone
        if self._wire is not None:
            await self._wire.__aexit__()

    async def api_version(self) -> str:
        """The `anthropic-version` that requests carry when the client names none."""
        return (self._signed or await self._sign())["anthropic-version"]

    @asynccontextmanager
    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, query: str = ""
    ) -> AsyncIterator[UpstreamAnswer]:
        """`ask`, and the answer is released at the end of the block."""
        answer = await self.ask(method, path, () if body is None else (body,), headers, query=query)
        try:
            yield answer
        finally:
            answer.release()

    async def ask(
        self, method: str, path: str, body: Sequence[bytes], headers: Mapping[str, str], *, query: str = ""
    ) -> UpstreamAnswer:
        """One request to `path` (`/v1/messages`), whose answer is to be released. `body` is in pieces; without any
        there is none.

        `headers` are the client's that may go on; the credential is ours. Raises GatewayError for any status but 2xx
        (with the upstream's own body in `raw`) and for a connection that cannot be made or breaks.
        """
        told = {**(self._signed or await self._sign()), **headers}
        if body:
            told["content-type"] = "application/json"
        wire = self._wire or await self._connected()
        return await wire.ask(method, path, query, told, body)

    def warm(self) -> None:
        """Imports what the first request needs, once the port is open: aiohttp is a fifth of a start."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(), name="get to know aiohttp")

    async def _connected(self) -> Wire:
        self.warm()
        assert self._connecting is not None
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> Wire:
        make = await asyncio.to_thread(_imported)
        wire = make(self.base_url, proxy=self._proxy, timeout_seconds=self._timeout_seconds)
        self._wire = await wire.__aenter__()
        return wire

    async def _sign(self) -> dict[str, str]:
        assert self._signing is not None, "use Upstream as a context manager"
        signed = {**OURS, **await asyncio.shield(self._signing)}
        if self._api_version:
            signed["anthropic-version"] = self._api_version
        self._signed = signed
        return signed


def _imported() -> type[Wire]:
    from sidecar.wire import Wire

    return Wire
