"""Bodies as the application hears of them, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

http_protocol = pytest.importorskip("sidecar.http_protocol", reason="httptools is not installed")


class Reader:
    """An application that notes what it hears of each body, and answers how long it was."""

    def __init__(self) -> None:
        self.bodies: list[list[int]] = []
        """Bytes of each message of each request."""
        self.heard = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append([])
        whole = bytearray()
        while (message := await receive())["type"] == "http.request":
            self.bodies[-1].append(len(message["body"]))
            whole += message["body"]
            self.heard.set()
            if not message["more_body"]:
                break
        answer = bytes(whole[-4:])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": answer})


@asynccontextmanager
async def serving(app: Reader) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to it."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, http=http_protocol.BoundedHttp)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: http_protocol.BoundedHttp(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield reader, writer
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0)


def head(length: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % length


async def write(writer: asyncio.StreamWriter, pieces: Iterable[bytes]) -> None:
    """Each goes out by itself."""
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.001)


def answered(pieces: Sequence[bytes], *, hears_before: int | None = None) -> tuple[list[list[int]], bytes]:
    """What the application heard of each request, and the end of the last answer. It is to hear of the body before the
    piece `hears_before` is sent."""

    async def run() -> tuple[list[list[int]], bytes]:
        app = Reader()
        async with serving(app) as (reader, writer):
            await write(writer, pieces[:hears_before])
            if hears_before is not None:
                await asyncio.wait_for(app.heard.wait(), 10)
                await write(writer, pieces[hears_before:])
            answer = b""
            while not answer.endswith(b"last"):
                answer += await asyncio.wait_for(reader.read(65536), 10)
        return app.bodies, answer

    return asyncio.run(run())


def test_a_body_is_heard_of_once_however_many_pieces_it_comes_in() -> None:
    bodies, _ = answered([head(300_004), *[b"x" * 30_000] * 10, b"last"])
    assert bodies == [[300_004]]


def test_so_is_the_next_one_on_the_same_connection() -> None:
    bodies, _ = answered([head(100_000), b"x" * 50_000, b"x" * 50_000, head(6), b"xx", b"last"])
    assert bodies == [[100_000], [6]]


def test_a_body_that_goes_on_slowly_is_heard_of_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "WAITING_SECONDS", 0.0)
    bodies, _ = answered([head(8), b"xxxx", b"last"], hears_before=2)
    assert bodies == [[4, 4]]


def test_a_body_that_stands_still_is_heard_of_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it may be too large already, and its client wait to hear so."""
    monkeypatch.setattr(http_protocol, "WAITING_SECONDS", 0.01)
    bodies, _ = answered([head(8) + b"xxxx", b"last"], hears_before=1)
    assert bodies == [[4, 4]]


def test_only_so_much_of_a_body_waits_for_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "WAITING_BYTES", 50_000)
    [sizes], _ = answered([head(300_004), *[b"x" * 30_000] * 10, b"last"])
    assert sum(sizes) == 300_004
    assert len(sizes) > 1
