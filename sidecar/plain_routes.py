"""Starlette's router, but a path without parameters is looked up and not searched for among a hundred others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import iscoroutinefunction

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

Answer = Callable[[Request], Awaitable[Response]]


class PlainRoutes(Router):
    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        super().__init__(routes)
        self._plain: dict[tuple[str, str], Answer] = {}
        for route in routes:
            if isinstance(route, Route) and "{" not in route.path and iscoroutinefunction(route.endpoint):
                for method in route.methods or ():
                    self._plain.setdefault((method, route.path), route.endpoint)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = (
            self._plain.get((scope.get("method", ""), scope.get("path", ""))) if not scope.get("root_path") else None
        )
        if plain is None:
            await super().app(scope, receive, send)
            return
        scope["path_params"] = {}
        response = await plain(Request(scope, receive, send))
        await response(scope, receive, send)
