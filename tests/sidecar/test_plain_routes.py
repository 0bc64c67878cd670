"""Looked up or searched for, a path leads to the same place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sidecar.plain_routes import PlainRoutes


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
def test_every_path_leads_where_it_does_with_starlette_s_own_router(method: str, path: str, root_path: str) -> None:
    ours, theirs = Starlette(), Starlette(routes=ROUTES)
    ours.router = PlainRoutes(ROUTES)
    assert asked(ours, method, path, root_path) == asked(theirs, method, path, root_path)
