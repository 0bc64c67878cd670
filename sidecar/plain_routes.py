"""Starlette, with a short way through it.

A path without parameters is looked up and not searched for among a hundred others, and what the front door has nothing
against goes to its endpoint past all middleware: five coroutines around each request, and two around each message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

Answer = Callable[[Request], Awaitable[Response]]


class PlainFirst(Starlette):
    def __init__(self, routes: Sequence[BaseRoute], *, is_plain: Callable[[Scope], bool], **named: Any) -> None:
        """`is_plain` says that no middleware has anything to do with a request, in either direction. `named` are
        Starlette's."""
        super().__init__(routes=routes, **named)
        self._is_plain = is_plain
        self._endpoints: dict[tuple[str, str], Answer] = {}
        for route in routes:
            if isinstance(route, Route) and "{" not in route.path and iscoroutinefunction(route.endpoint):
                for method in route.methods or ():
                    self._endpoints.setdefault((method, route.path), route.endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get((scope.get("method", ""), scope.get("path", "")))
        if endpoint is None or scope.get("root_path") or not self._is_plain(scope):
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        scope["path_params"] = {}
        request, begun = Request(scope, receive, send), False

        def tell(message: Message) -> Awaitable[None]:
            nonlocal begun
            begun = True
            return send(message)

        try:
            response = await endpoint(request)
            await response(scope, receive, tell)
        except Exception as error:
            if begun:  # the server closes the connection: that is all that can still be told
                raise
            await self._refuse(request, error)

    async def _refuse(self, request: Request, error: Exception) -> None:
        """As Starlette's middlewares do: what is a bug is answered, and then the server's to hear of."""
        kind = next(kind for kind in type(error).__mro__ if kind in self.exception_handlers)
        response = await self.exception_handlers[kind](request, error)
        await response(request.scope, request.receive, request._send)  # noqa: SLF001  # Starlette's own name for it
        if kind is Exception:
            raise error
