"""The sidecar over HTTP: its feed, which comes back by itself, and its admin routes."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from tui.shapes import EVENTS, Shape, whole
from tui.text import UNSEEN

if TYPE_CHECKING:
    import aiohttp

ANSWER_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 6.0
"""The feed says something every two seconds; after this long it is lost."""
RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0)
"""Until the next try, and the last of them from then on."""
LINE_BYTES: Final = 64 * 1024 * 1024
"""The first event has a thousand rows."""

Event = tuple[Literal["hello", "batch", "state", "lost"], Mapping[str, Any]]


class SidecarError(Exception):
    """The sidecar did not do what it was asked; the message is one sentence for the user."""


class SidecarClient:
    """`url` has no `/v1`; `key` is the admin key. The HTTP library is imported by the first who asks for something:
    the first picture need not wait for it."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._headers = {"X-API-Key": key}
        self._session: aiohttp.ClientSession | None = None
        self.strange: set[str] = set()
        """What this sidecar did not tell, or told in another way than this dashboard knows; empty for one of the same
        version."""

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            await asyncio.to_thread(importlib.import_module, "aiohttp")
        if self._session is None:  # whoever was first
            import aiohttp

            self._session = aiohttp.ClientSession(headers=self._headers, trust_env=False, read_bufsize=LINE_BYTES)
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def events(self) -> AsyncIterator[Event]:
        """What happens, for ever: `lost` (with its `reason`) once when the sidecar is gone, and `hello` when it is
        there again."""
        session = await self._opened()
        from aiohttp import ClientError

        tries, was_lost = 0, False
        while True:
            reason = "it ended the connection"
            try:
                async for event in self._connected(session):
                    tries, was_lost = 0, False
                    yield event
            except SidecarError as error:
                reason = str(error)
            except (ClientError, TimeoutError, OSError, ValueError) as error:
                reason = _why(error)
            if not was_lost:
                was_lost = True
                yield "lost", {"reason": reason}
            await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
            tries += 1

    async def get(self, path: str, shape: Shape) -> Any:
        """The answer of `GET /admin/PATH`, with all that the shape has. Raises SidecarError."""
        return await self._ask("GET", path, shape)

    async def post(self, path: str, shape: Shape, content: Mapping[str, Any] | None = None) -> Any:
        return await self._ask("POST", path, shape, content)

    async def patch(self, path: str, shape: Shape, content: Mapping[str, Any]) -> Any:
        return await self._ask("PATCH", path, shape, content)

    async def delete(self, path: str, shape: Shape) -> Any:
        return await self._ask("DELETE", path, shape)

    async def _connected(self, session: aiohttp.ClientSession) -> AsyncIterator[Event]:
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, sock_connect=ANSWER_SECONDS, sock_read=SILENCE_SECONDS)
        async with session.get(f"{self.url}/admin/events", timeout=timeout) as answer:
            if answer.status != 200:
                raise SidecarError(await _refusal(answer))
            name: Any = ""
            async for line in answer.content:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: ") and name in EVENTS:
                    if name == "hello":
                        self.strange.clear()  # it may be another one than before
                    yield name, whole(EVENTS[name], harmless(line[6:]), self.strange, name)

    async def _ask(self, method: str, path: str, shape: Shape, content: Mapping[str, Any] | None = None) -> Any:
        session = await self._opened()
        from aiohttp import ClientError, ClientTimeout

        timeout = ClientTimeout(total=ANSWER_SECONDS)
        url = f"{self.url}/admin/{path}"
        try:
            async with session.request(method, url, json=content, timeout=timeout) as answer:
                if answer.status != 200:
                    raise SidecarError(await _refusal(answer))
                return whole(shape, harmless(await answer.read()), self.strange, path.partition("?")[0])
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            raise SidecarError(f"The sidecar does not answer: {_why(error)}.") from error


_STEERS: Final = re.compile(f"[{UNSEEN}]")
_ESCAPED: Final = re.compile(rf"\\u[0-9a-fA-F]{{4}}(?:\\u[dD][c-fC-F][0-9a-fA-F]{{2}})?|\\.|[{UNSEEN}]", re.DOTALL)
"""As JSON has them; an escaped backslash is matched too, so that what stands behind it is not."""
_MAY_STEER: Final = (b"\\u", b"\\b", b"\\f", b"\x7f")
_PLAIN: Final = frozenset("\t\n\r")


def harmless(content: bytes) -> Any:
    """JSON parsed, with nothing in it that could steer a terminal, or show a text in another order than it has: names
    and texts come from clients. Raises ValueError."""
    if any(sign in content for sign in _MAY_STEER):
        return orjson.loads(_ESCAPED.sub(_replaced, content.decode()))
    if content.isascii() or _STEERS.search(text := content.decode()) is None:
        return orjson.loads(content)
    return orjson.loads(_ESCAPED.sub(_replaced, text))


def _replaced(found: re.Match[str]) -> str:
    text = found[0]
    if text[0] != "\\":
        return "\\ufffd"
    if text[1] != "u":
        return "\\ufffd" if text in {"\\b", "\\f"} else text
    said = json.loads(f'"{text}"')
    steers = (said < " " and said not in _PLAIN) or any(_STEERS.match(char) for char in said)
    return "\\ufffd" if steers else text


async def _refusal(answer: aiohttp.ClientResponse) -> str:
    """What it said, in its own words where it has any."""
    try:
        return str(harmless(await answer.read())["error"]["message"])
    except (OSError, TimeoutError, ValueError, KeyError, TypeError):
        return f"The sidecar answered {answer.status}."


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    return str(error) or type(error).__name__
