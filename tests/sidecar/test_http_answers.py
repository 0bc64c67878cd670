"""Answers over real sockets, read by h11: what it takes for an answer is one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

http_protocol = pytest.importorskip("sidecar.http_protocol", reason="httptools is not installed")

Headers = list[tuple[bytes, bytes]]


def answered(
    headers: Headers,
    pieces: Sequence[bytes],
    *,
    status: int = 200,
    method: str = "GET",
    asks: Headers | None = None,
    begun: bool = True,
) -> tuple[h11.Response, bytes, bool, BaseException | None]:
    """What a client gets: the head, the body, whether the connection stays, and what the application met with."""
    failed: list[BaseException] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        try:
            if begun:
                await send({"type": "http.response.start", "status": status, "headers": headers})
            for number, piece in enumerate(pieces, 1):
                await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})
        except RuntimeError as error:
            failed.append(error)
            raise

    async def run() -> tuple[h11.Response, bytes, bool]:
        async with serving(app) as (reader, writer):
            client = h11.Connection(h11.CLIENT)
            told = [(b"host", b"localhost"), *(asks or [])]
            writer.write(client.send(h11.Request(method=method, target="/", headers=told)) or b"")
            writer.write(client.send(h11.EndOfMessage()) or b"")
            response, body = None, b""
            while True:
                event: Any = client.next_event()
                if event is h11.NEED_DATA:
                    client.receive_data(await asyncio.wait_for(reader.read(65536), 10))
                elif isinstance(event, h11.Response):
                    response = event
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    break
            assert response is not None
            return response, body, client.their_state is h11.DONE

    return *asyncio.run(run()), failed[0] if failed else None


@asynccontextmanager
async def serving(app: Any) -> Any:
    config = uvicorn.Config(app, lifespan="off", log_config=None, http=http_protocol.BoundedHttp)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Sun, 29 Nov 2026 02:00:00 GMT")]
    server = await asyncio.get_running_loop().create_server(
        lambda: http_protocol.BoundedHttp(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()
            await asyncio.sleep(0)


NAMES = st.text("abcXYZ-09!~", min_size=1, max_size=12).map(lambda name: b"x-" + name.encode())
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30).map(
    lambda value: value.encode("latin-1").strip(b" \x80\x85\xa0")
)


@settings(max_examples=60, deadline=None)
@given(
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=8),
    pieces=st.lists(st.binary(max_size=40) | st.just(b"x" * 100_000), min_size=1, max_size=4),
    told=st.booleans(),
)
def test_whatever_is_answered_arrives_as_it_was_said(headers: Headers, pieces: list[bytes], told: bool) -> None:
    length = [(b"Content-Length", b"%d" % sum(map(len, pieces)))] if told else []
    response, body, stays, failure = answered([*headers, *length], pieces)
    assert body == b"".join(pieces)
    assert [(name, value) for name, value in response.headers if name.startswith(b"x-")] == [
        (name.lower(), value) for name, value in headers
    ]
    assert dict(response.headers)[b"date"]
    assert (b"transfer-encoding" in dict(response.headers)) is not told
    assert stays
    assert failure is None


@pytest.mark.parametrize(
    ("headers", "asks"),
    [([(b"connection", b"Keep-Alive, CLOSE")], []), ([], [(b"connection", b"close")])],
)
def test_either_side_may_close_the_connection(headers: Headers, asks: Headers) -> None:
    response, body, stays, _ = answered(headers, [b"words"], asks=asks)
    assert (body, stays) == (b"words", False)
    assert [name for name, _ in response.headers].count(b"connection") == 1


@pytest.mark.parametrize("pieces", [[b"words"], [b"one ", b"two", b""], [b""]])
def test_for_http_1_0_the_end_of_the_connection_is_the_end_of_the_answer(pieces: list[bytes]) -> None:
    """Chunks came with HTTP/1.1 (RFC 9112, section 6.1): an older client would take their lengths for text."""

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]})
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    async def run() -> bytes:
        async with serving(app) as (reader, writer):
            writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
            return bytes(await asyncio.wait_for(reader.read(), 10))

    head, _, body = asyncio.run(run()).partition(b"\r\n\r\n")
    assert body == b"".join(pieces)
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD")])
def test_some_answers_have_no_body(status: int, method: str) -> None:
    response, body, stays, _ = answered([], [b""], status=status, method=method)
    assert (response.status_code, body, stays) == (status, b"", True)
    assert b"transfer-encoding" not in dict(response.headers)


def test_the_length_of_what_is_not_sent_may_be_told() -> None:
    response, body, stays, _ = answered([(b"content-length", b"5")], [b"words"], method="HEAD")
    assert (dict(response.headers)[b"content-length"], body, stays) == (b"5", b"", True)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-a", b"1\r\nx-forged: 2")],
        [(b"x-a", b"1\nx-forged: 2")],
        [(b"x-a", b"1\x00")],
        [(b"x-a", b"1\r\n")],
        [(b"x a", b"1")],
        [(b"x-a:", b"1")],
    ],
)
def test_no_header_can_be_more_than_one_line(headers: Headers) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        answered(headers, [b"words"])


@pytest.mark.parametrize("length", [b"4", b"6"])
def test_an_answer_of_another_length_than_it_was_said_to_have_ends_the_connection(length: bytes) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        answered([(b"content-length", length)], [b"words"])


def test_a_body_without_a_head_is_a_fault_of_ours_and_is_told() -> None:
    response, _, _, failure = answered([], [b"words"], begun=False)
    assert response.status_code == 500
    assert "http.response.start belongs" in str(failure)


def test_a_short_answer_is_one_write() -> None:
    written: list[bytes] = []

    class Transport:
        def write(self, data: bytes) -> None:
            written.append(data)

    async def run() -> None:
        cycle = a_cycle(Transport())
        answer = http_protocol.Answer(cycle)
        await answer.send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await answer.send({"type": "http.response.body", "body": b"words"})
        assert cycle.response_complete
        with pytest.raises(RuntimeError, match="was sent where"):
            await answer.send({"type": "http.response.body", "body": b"more"})

    asyncio.run(run())
    assert written == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwords"]


def a_cycle(transport: Any) -> Any:
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    return RequestResponseCycle(
        scope={"type": "http", "method": "GET"},  # type: ignore[typeddict-item]
        transport=transport,
        flow=FlowControl(transport),
        logger=None,  # type: ignore[arg-type]
        access_logger=None,  # type: ignore[arg-type]
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=lambda: None,
    )
