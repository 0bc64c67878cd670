"""A whole sidecar without a socket: its ASGI application, in front of a Claude that judges as the simulator does, and
says one sentence at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Message

from sidecar import application
from sidecar.application import sidecar_app
from sidecar.config import Settings
from sidecar.errors import GatewayError
from sidecar.home import Home
from sidecar.simulator.errors import ApiError
from sidecar.simulator.thinking_rules import ResponseMemory
from sidecar.simulator.validation import validate
from sidecar.sse import Events, EventSplitter
from sidecar.upstream import Upstream
from tests.support.events import block_start, block_stop, sse, text_delta

KEY = "cgw-key-of-the-tests"
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 1},
}
WHOLE = orjson.dumps({**MESSAGE, "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn"})
EVENTS = EventSplitter().feed(
    sse("message_start", message=MESSAGE).raw
    + block_start("text").raw
    + text_delta("hello").raw
    + block_stop().raw
    + sse("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}).raw
    + sse("message_stop").raw
)


class Sentence:
    """An `UpstreamAnswer`."""

    status = 200

    def __init__(self, body: bytes, *, is_stream: bool) -> None:
        self.headers = {"request-id": "req_1"}
        self.is_stream = is_stream
        self._body = body
        self._events = [Events.of(EVENTS)]

    async def body(self) -> bytes:
        return self._body

    async def events(self) -> Events | None:
        return self._events.pop() if self._events else None

    def release(self) -> None:
        pass


class Heard(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Complaints(logging.Handler):
    """Every record that says that something inside failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.records.append(record)


class InProcess:
    """The application, and the loop it lives on. `with` it."""

    def __init__(self, home: Path, **settings: Any) -> None:
        given = {"anthropic_api_key": "sk-ant-none", "anthropic_base_url": "http://127.0.0.1:9"}
        usual = {"gateway_api_key": KEY, "rate_limit_enabled": False, "circuit_breaker_enabled": False}
        self._settings = Settings(**{**given, **usual, **settings})
        self._home = Home(home)
        self.complaints = Complaints()
        self.sent: list[bytes] = []
        """What went to Claude last."""
        self.asked = 0
        self._runner = asyncio.Runner()
        self._app: Starlette
        self._context: Any

    def __enter__(self) -> Self:
        self._home.open()
        logging.getLogger().addHandler(self.complaints)
        self._runner.__enter__()
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(application, "Upstream", self._claude())
        self._context = sidecar_app(self._settings, self._home, url="http://127.0.0.1:4343")
        self._app = self._runner.run(self._context.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._runner.run(self._context.__aexit__(None, None, None))
            self._runner.__exit__(None, None, None)
        finally:
            self._patch.undo()
            logging.getLogger().removeHandler(self.complaints)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return self._app.routes

    def ask(
        self,
        method: str,
        path: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        query: bytes = b"",
    ) -> Heard:
        """`path` as it arrives, percent signs included."""
        self.asked += 1
        return self._runner.run(self._ask(method, path, headers, body, query))

    async def _ask(
        self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes, query: bytes
    ) -> Heard:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in headers],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 4343),
        }
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        said: list[Message] = []

        async def receive() -> Message:
            if incoming:
                return incoming.pop()
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        async def send(message: Message) -> None:
            said.append(message)

        await self._app(scope, receive, send)
        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in said[0]["headers"]}
        return Heard(said[0]["status"], told, b"".join(message.get("body", b"") for message in said[1:]))

    def _claude(self) -> type[Upstream]:
        sent = self.sent

        class Claude(Upstream):
            async def ask(
                self, method: str, path: str, body: Sequence[bytes], headers: Mapping[str, str], *, query: str = ""
            ) -> Any:
                if not body or "/batches" in path:
                    return await super().ask(method, path, body, headers, query=query)
                sent[:] = [b"".join(body)]
                asked = orjson.loads(sent[0])
                told = {"anthropic-version": await self.api_version(), **headers}
                for name, value in told.items():
                    (name + value).encode("latin-1")
                try:
                    validate(asked, told, ResponseMemory(), counting=path.endswith("count_tokens"))
                except ApiError as refused:
                    raise GatewayError(
                        "invalid_request_error", str(refused), status=refused.status, upstream=True
                    ) from None
                if path.endswith("count_tokens"):
                    return Sentence(b'{"input_tokens":7}', is_stream=False)
                return Sentence(WHOLE, is_stream=asked.get("stream") is True)

        return Claude


def running(home: Path, **settings: Any) -> Iterator[InProcess]:
    """For a fixture."""
    with InProcess(home, **settings) as app:
        yield app
