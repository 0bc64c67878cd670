"""Looked up or searched for, a path leads to the same place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sidecar.plain_routes import PlainFirst


async def first(_: Request) -> Response:
    return PlainTextResponse("first")


async def second(request: Request) -> Response:
    return PlainTextResponse(f"second {request.path_params}")


ROUTES = [
    Route("/v1/messages", first, methods=["POST"]),
    Route("/v1/messages", second, methods=["POST", "GET"]),
    Route("/v1/models/{model:path}", second, methods=["GET"]),
]


def asked(app: Starlette, method: str, path: str, root_path: str = "") -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append({key: value for key, value in message.items() if key != "headers"})

    scope = {"type": "http", "method": method, "path": path, "root_path": root_path, "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/", "/v1/models/a/b", "/nowhere", "/base/v1/messages"])
@pytest.mark.parametrize("root_path", ["", "/base"])
@pytest.mark.parametrize("plain", [True, False])
def test_every_path_leads_where_it_does_with_starlette_itself(
    method: str, path: str, root_path: str, plain: bool
) -> None:
    ours, theirs = PlainFirst(ROUTES, is_plain=lambda _: plain), Starlette(routes=ROUTES)
    assert asked(ours, method, path, root_path) == asked(theirs, method, path, root_path)


class Breaks(Response):
    """Fails before or behind its first message."""

    def __init__(self, error: Exception, *, begun: bool) -> None:
        self._error = error
        self._begun = begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise self._error


async def caught(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"caught {error}", 418)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("error", [LookupError("known"), KeyError("by its parent"), RuntimeError("a bug")])
@pytest.mark.parametrize("in_the_answer", [True, False])
def test_failures_are_answered_as_by_starlette_itself(error: Exception, begun: bool, in_the_answer: bool) -> None:
    async def endpoint(_: Request) -> Response:
        if not in_the_answer:
            raise error
        return Breaks(error, begun=begun)

    routes = [Route("/v1/messages", endpoint, methods=["POST"])]
    handlers: Any = {LookupError: caught, Exception: caught}
    heard = [
        outcome(PlainFirst(routes, is_plain=lambda _, plain=plain: plain, exception_handlers=handlers))
        for plain in (True, False)
    ]
    assert heard[0] == heard[1]


def outcome(app: Starlette) -> tuple[list[Any], bool]:
    """What was sent, and whether the server heard of a failure."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append({key: value for key, value in message.items() if key != "headers"})

    async def receive() -> Any:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/v1/messages", "headers": [], "query_string": b""}
    try:
        asyncio.run(app(scope, receive, send))
    except Exception:  # noqa: BLE001
        return sent, True
    return sent, False
