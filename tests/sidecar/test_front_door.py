"""The front door in front of a room that says yes to everything."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Scope

from sidecar.errors import GatewayError
from sidecar.front_door import FrontDoor, Gate

Headers = list[tuple[bytes, bytes]]
LOCAL = (b"host", b"127.0.0.1:4343")


def door(*, hosts: tuple[str, ...] = (), origins: tuple[str, ...] = (), open_to_others: bool = False) -> FrontDoor:
    def refusal(_: Request, error: GatewayError) -> Response:
        return PlainTextResponse(f"{error.code}: {error.message}", error.status)

    room: ASGIApp = PlainTextResponse("come in")
    gate = Gate(hosts=hosts, origins=origins, open_to_others=open_to_others)
    return FrontDoor(room, refusal=refusal, gate=gate)


async def knock(front: FrontDoor, headers: Headers, method: str = "POST") -> tuple[int, dict[bytes, bytes], str]:
    scope: Scope = {"type": "http", "method": method, "path": "/v1/messages", "headers": headers, "query_string": b""}
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await front(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in said)
    return said[0]["status"], dict(said[0]["headers"]), body.decode()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:4343",
        "127.0.0.1",
        "localhost:4343",
        "LOCALHOST",
        "localhost.:80",
        "[::1]:4343",
        "192.168.1.20:4343",
        "cgw.localhost:4343",
        "host.docker.internal:4343",
    ],
)
async def test_names_and_addresses_of_this_machine_may_enter(host: str) -> None:
    assert (await knock(door(), [(b"host", host.encode())]))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4343",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "[::1",
        "a b",
        "\xff",
    ],
)
async def test_another_name_that_points_here_is_refused_with_what_to_do(host: str) -> None:
    status, _, body = await knock(door(), [(b"host", host.encode("latin-1"))])
    assert status == 403
    assert "ALLOWED_HOSTS" in body


async def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    assert (await knock(door(), []))[0] == 403
    assert (await knock(door(), [LOCAL, (b"host", b"evil.example")]))[0] == 403
    assert (await knock(door(), [(b"host", b"evil.example"), LOCAL]))[0] == 403


async def test_a_name_that_was_allowed_may_enter() -> None:
    assert (await knock(door(hosts=("Tunnel.example",)), [(b"host", b"tunnel.example:443")]))[0] == 200


async def test_the_machines_own_name_counts_only_where_others_may_come_at_all() -> None:
    own = [(b"host", socket.gethostname().encode())]
    assert (await knock(door(open_to_others=True), own))[0] == 200
    if socket.gethostname().lower() != "localhost":
        assert (await knock(door(), own))[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        [(b"origin", b"https://evil.example")],
        [(b"origin", b"http://localhost:3000")],
        [(b"origin", b"http://127.0.0.1:4343")],
        [(b"origin", b"null")],
        [(b"origin", b"")],
        [(b"origin", b"https://evil.example"), (b"sec-fetch-site", b"cross-site")],
        [(b"sec-fetch-site", b"cross-site")],
        [(b"sec-fetch-site", b"same-site")],
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
async def test_whatever_a_page_sends_is_refused_and_never_readable_to_it(headers: Headers, method: str) -> None:
    asked = [(b"access-control-request-method", b"POST")] if method == "OPTIONS" else []
    status, told, body = await knock(door(), [LOCAL, *headers, *asked], method)
    assert status == 403
    assert "ALLOWED_ORIGINS" in body
    assert b"access-control-allow-origin" not in told


@pytest.mark.parametrize("site", [b"none", b"same-origin"])
async def test_an_address_that_a_person_typed_is_no_page(site: bytes) -> None:
    assert (await knock(door(), [LOCAL, (b"sec-fetch-site", site)], "GET"))[0] == 200


@pytest.mark.parametrize("origin", ["https://chat.example", "vscode-webview://abc123"])
async def test_an_allowed_page_gets_answers_that_only_it_may_read(origin: str) -> None:
    front = door(origins=("https://chat.example/",))
    status, told, body = await knock(front, [LOCAL, (b"origin", origin.encode())])
    assert (status, body) == (200, "come in")
    assert told[b"access-control-allow-origin"] == origin.encode()
    assert told[b"vary"] == b"Origin"


async def test_an_allowed_pages_preflight_is_answered_without_a_key_and_without_wildcards() -> None:
    asked = [
        LOCAL,
        (b"origin", b"https://chat.example"),
        (b"access-control-request-method", b"POST"),
        (b"access-control-request-headers", b"authorization, content-type"),
        (b"access-control-request-private-network", b"true"),
    ]
    status, told, body = await knock(door(origins=("https://chat.example",)), asked, "OPTIONS")
    assert (status, body) == (204, "")
    assert told[b"access-control-allow-origin"] == b"https://chat.example"
    assert told[b"access-control-allow-headers"] == b"authorization, content-type"
    assert told[b"access-control-allow-private-network"] == b"true"
    assert b"POST" in told[b"access-control-allow-methods"]
    assert not any(b"*" in value for value in told.values())


@given(
    st.lists(st.tuples(st.sampled_from([b"host", b"origin", b"sec-fetch-site"]), st.binary(max_size=30)), max_size=4)
)
async def test_no_headers_whatever_get_past_or_break_the_door_with_an_origin_that_is_not_allowed(
    headers: Headers,
) -> None:
    status, told, _ = await knock(door(), headers)
    entered = status == 200
    assert status in (200, 403)
    if entered:
        origins = [value for name, value in headers if name == b"origin"]
        assert all(origin.lower().startswith(b"vscode-") for origin in origins[-1:])
        assert len([name for name, _ in headers if name == b"host"]) == 1
    assert told.get(b"access-control-allow-origin") != b"*"
