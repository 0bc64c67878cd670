"""The upstream client against sockets that behave badly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from sidecar.errors import GatewayError
from sidecar.upstream import Upstream
from sidecar.wire import Wire
from tests.support.interceptor import OtherHost

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def upstream_of(serve: Serve, *, timeout_seconds: float = 10) -> AsyncIterator[Upstream]:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        Upstream(
            base_url=f"http://127.0.0.1:{port}", api_key="sk-ant-secret", timeout_seconds=timeout_seconds
        ) as upstream,
    ):
        yield upstream


def answers(*pieces: bytes) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            for _ in range(5):  # so that each is a read of its own on the other side
                await asyncio.sleep(0)

    return serve


async def body_of(upstream: Upstream) -> bytes:
    async with upstream.send("POST", "/v1/messages", b"{}", {}) as answer:
        return await answer.body()


async def events_of(upstream: Upstream) -> list[bytes]:
    async with upstream.send("POST", "/v1/messages", b"{}", {}) as answer:
        found = []
        while (batch := await answer.events()) is not None:
            found += [event.data for event in batch]
        return found


async def test_the_key_goes_out_as_the_sdk_sends_it() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with (
        server,
        Upstream(
            base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", api_key="sk-ant-secret"
        ) as upstream,
    ):
        assert await body_of(upstream) == b"{}"
        version = await upstream.api_version()
    [head] = heard
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\n")
    assert b"authorization: Bearer sk-ant-secret\r\n" in head
    assert f"anthropic-version: {version}\r\n".encode() in head


async def test_a_redirect_is_never_followed() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with upstream_of(answers(redirect)) as upstream:
        with pytest.raises(GatewayError) as refusal:
            await body_of(upstream)
    assert refusal.value.status == 502
    assert "redirects to http://127.0.0.1:1/" in refusal.value.message


async def test_a_page_from_something_in_between_is_one_clear_sentence() -> None:
    page = b"<html><head><title>Blocked by policy</title></head></html>"
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n".encode()
    async with upstream_of(answers(head, page)) as upstream:
        with pytest.raises(GatewayError, match="Blocked by policy") as refusal:
            await body_of(upstream)
    assert refusal.value.status == 403


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",),
    ],
)
async def test_a_body_that_breaks_off_is_an_error(pieces: tuple[bytes, ...]) -> None:
    async with upstream_of(answers(*pieces)) as upstream:
        with pytest.raises(GatewayError, match="broke before the answer was complete"):
            await body_of(upstream)


@pytest.mark.parametrize("pieces", [(b"",), (b"SSH-2.0-OpenSSH_9\r\n",)])
async def test_a_peer_that_speaks_no_http_is_unreachable(pieces: tuple[bytes, ...]) -> None:
    async with upstream_of(answers(*pieces)) as upstream:
        with pytest.raises(GatewayError, match="cannot reach") as refusal:
            await body_of(upstream)
    assert refusal.value.status == 502


async def test_a_silent_peer_is_given_up_after_the_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with upstream_of(silent, timeout_seconds=0.05) as upstream:
        with pytest.raises(GatewayError, match="did not answer in time"):
            await body_of(upstream)


async def test_silence_in_the_middle_of_an_answer_is_given_up_after_the_timeout() -> None:
    async def falls_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await reader.read()

    async with upstream_of(falls_silent, timeout_seconds=0.5) as upstream:
        with pytest.raises(GatewayError, match="broke before the answer was complete"):
            await body_of(upstream)


async def test_an_answer_may_take_longer_than_the_timeout_while_it_goes_on() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        for _ in range(12):
            await asyncio.sleep(0.1)
            writer.write(b"x")

    async with upstream_of(slow, timeout_seconds=1.0) as upstream:
        assert await body_of(upstream) == b"x" * 12


async def test_an_answer_that_is_read_slowly_stops_its_sender_and_comes_whole() -> None:
    piece, pieces = b"x" * 65_536, 400
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(pieces):
            writer.write(b"10000\r\n%b\r\n" % piece)
            await writer.drain()
            sent += 1
        writer.write(b"0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Wire(url, proxy=None, timeout_seconds=30) as wire:
        answer = await wire.ask("GET", "/", "", {}, ())
        while (before := sent) == 0 or await asyncio.sleep(0.05, sent) != before:
            pass  # until it goes no further
        assert sent < pieces
        assert sum([len(chunk) async for chunk in answer.chunks()]) == pieces * len(piece)
        answer.release()


async def test_a_name_that_does_not_resolve_asks_about_the_network() -> None:
    async with Upstream(base_url="http://nowhere.invalid", api_key="k") as upstream:
        with pytest.raises(GatewayError, match="is this machine online"):
            await body_of(upstream)


async def test_events_come_whole_whatever_the_reads_were() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    async with upstream_of(answers(head, b"event: ping\nda", b"ta: 1\n", b"\ndata: 2\n\n")) as upstream:
        assert await events_of(upstream) == [b"1", b"2"]


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with upstream_of(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as upstream:
        assert await body_of(upstream) == b"{}"


async def test_leaving_the_block_early_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await writer.drain()
        while await reader.read(1024):
            pass
        closed.set()

    async with upstream_of(endless) as upstream:
        async with upstream.send("POST", "/v1/messages", b"{}", {}):
            pass
        await asyncio.wait_for(closed.wait(), 10)


async def test_a_refusal_brings_claudes_own_headers() -> None:
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'
    head = b"HTTP/1.1 429 Slow\r\nRequest-Id: req_9\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with upstream_of(answers(head, body)) as upstream:
        with pytest.raises(GatewayError) as refusal:
            await body_of(upstream)
    assert refusal.value.headers == {"request-id": "req_9"}


async def test_a_proxy_is_asked_for_the_whole_address_and_told_who_asks() -> None:
    heard: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heard.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(once, "127.0.0.1", 0) as server:
        proxy = f"http://me:s3cret@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Upstream(base_url="http://claude.invalid", api_key="k", proxy=proxy) as upstream:
            assert [await body_of(upstream), await body_of(upstream)] == [b"{}", b"{}"]
    for head in heard:
        assert head.startswith(b"POST http://claude.invalid/v1/messages HTTP/1.1\r\nhost: claude.invalid\r\n")
        assert b"\r\nproxy-authorization: Basic bWU6czNjcmV0\r\n" in head
        assert head.endswith(b"{}")


async def test_a_connection_is_used_again_where_the_answer_was_read_to_its_end() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await reader.readexactly(2)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Upstream(base_url=f"http://127.0.0.1:{port}", api_key="k") as upstream:
            for _ in range(3):
                assert await body_of(upstream) == b"{}"
            assert connections == 1


async def test_a_head_cannot_be_forged_by_a_value_of_two_lines() -> None:
    async with upstream_of(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as upstream:
        with pytest.raises(ValueError, match="line end"):
            async with upstream.send("POST", "/v1/messages", b"{}", {"x-note": "a\r\nx-api-key: b"}):
                pass


async def test_the_password_of_a_proxy_that_refuses_is_not_told() -> None:
    async with upstream_of(answers(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")) as proxy:
        address = proxy.base_url.replace("//", "//me:s3cret@")
        async with Upstream(base_url="https://claude.invalid", api_key="k", proxy=address) as upstream:
            with pytest.raises(GatewayError, match="Who are you") as refusal:
                await body_of(upstream)
    assert "s3cret" not in str(refusal.value)


async def test_a_certificate_that_nobody_vouches_for_is_told_at_once_and_nothing_is_sent(tmp_path: Path) -> None:
    with OtherHost(tmp_path) as stranger:
        async with Upstream(base_url=f"https://127.0.0.1:{stranger.port}", api_key="sk-ant-secret") as upstream:
            with pytest.raises(GatewayError, match="certificate was not accepted") as refused:
                await body_of(upstream)
        assert (refused.value.status, refused.value.code) == (502, "upstream_untrusted")
        assert "sk-ant-secret" not in refused.value.message
        assert stranger.heard == []
