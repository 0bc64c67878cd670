"""A simulator without a socket: requests go straight into its ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from sidecar.simulator.simulator import DEFAULT_KEY, Simulator
from sidecar.sse import EventSplitter

HEADERS = {"x-api-key": DEFAULT_KEY, "anthropic-version": "2026-10-21", "content-type": "application/json"}


@dataclass
class Reply:
    """What came back over ASGI."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(event.data) for event in EventSplitter().feed(self.body)]

    @property
    def usage(self) -> dict[str, Any]:
        usage: dict[str, Any] = self.json["usage"]
        return usage

    @property
    def refusal(self) -> str:
        """The sentence of a 400."""
        assert self.status == 400, self.body
        sentence: str = self.json["error"]["message"]
        return sentence


async def call(app: ASGIApp, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
    """One request to an ASGI application, by a client that stays to the end."""
    reply = Reply()
    path, _, query = path.partition("?")
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if pending:
            return pending.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            reply.chunks.append(message["body"])

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 80),
        "scheme": "http",
    }
    await app(scope, receive, send)
    return reply


@pytest.fixture
def simulator() -> Simulator:
    """Its clock stands still."""
    simulator = Simulator()
    simulator.clock.set(1_800_000_000)
    return simulator


Ask = Callable[..., Awaitable[Reply]]


@pytest.fixture
def ask(simulator: Simulator) -> Ask:
    """`await ask(model=..., messages=[...])` posts a Messages request; `headers` and `path` are for the HTTP request.

    `messages` may be a string, the user's words. A field set to `...` is left out.
    """

    async def post(*, headers: dict[str, str] | None = None, path: str = "/v1/messages", **fields: Any) -> Reply:
        request: dict[str, Any] = {"model": "claude-opus-5-5", "max_tokens": 1_000, "messages": "hello"} | fields
        if isinstance(request["messages"], str):
            request["messages"] = [{"role": "user", "content": request["messages"]}]
        body = json.dumps({name: value for name, value in request.items() if value is not ...}).encode()
        sent = {name: value for name, value in (HEADERS | (headers or {})).items() if value}
        return await call(simulator.app, "POST", path, body, sent)

    return post


@pytest.fixture
def http(simulator: Simulator) -> Ask:
    """`await http("GET", "/v1/models", body=b"")` for everything else."""

    async def request(method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        return await call(simulator.app, method, path, body, HEADERS | (headers or {}))

    return request
