"""The dashboard in a browser: its terminal is carried over a WebSocket, to whoever has this start's secret link.

What it shows can clear a cache and switch layers, so no other page and no other user of this machine may reach it: the
link carries a secret of this start, the cookie that takes its place goes to no other site, and a name that only points
to this machine is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import shlex
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from textual_serve import server
from textual_serve.app_service import AppService

from sidecar.user_errors import UserError

HOST: Final = "127.0.0.1"
COOKIE: Final = "cgw-dashboard"
TITLE: Final = "cgw"
REFUSED: Final = "Open the link that `cgw tui --serve` has printed: its secret belongs to this start.\n"
POLICY: Final = {"x-frame-options": "DENY", "referrer-policy": "no-referrer", "cache-control": "no-store"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page(AppService):
    """The dashboard behind one page. It is waited for until its process has ended, not only its output; one that is cut
    off ends it."""

    async def run(self) -> None:
        assert self._process is not None, "it is started first"
        try:
            await super().run()
            await self._process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            raise


server.AppService = Page  # type: ignore[attr-defined]  # the server has no other way to be given one


class Browser(server.Server):
    """Serves one dashboard for each page that opens the link."""

    def __init__(self, arguments: list[str], port: int, say: Callable[[str], None]) -> None:
        """`arguments` are those of the `cgw` that runs behind each page; `port` 0 takes a free one. Raises UserError
        where the port is taken."""
        self._socket = _listening(port)
        port = self._socket.getsockname()[1]
        super().__init__(_command_line([sys.executable, "-P", "-m", "sidecar", *arguments]), HOST, port, title=TITLE)
        self._secret = secrets.token_urlsafe(32)
        self._say = say
        self._pages: set[asyncio.Task[object]] = set()

    @property
    def link(self) -> str:
        return f"{self.public_url}/?key={self._secret}"

    def serve(self, debug: bool = False) -> None:
        """Until Ctrl-C, on the socket that listens already: whoever reads the link is never refused a connection."""
        web.run_app(self._make_app(), sock=self._socket, access_log=None, print=lambda *_: None)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        page = asyncio.current_task()
        assert page is not None, "aiohttp runs every handler in a task"
        self._pages.add(page)
        try:
            return await super().handle_websocket(request)
        finally:
            self._pages.discard(page)

    async def on_shutdown(self, app: web.Application) -> None:
        """Ends the dashboards of all open pages, which else would hold up the end for a minute."""
        pages = [*self._pages]
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)

    async def on_startup(self, app: web.Application) -> None:
        self._say(f"The dashboard is at {self.link}\nWho has this link can use it. Ctrl-C ends it.")

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._admit)
        return app

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host != f"{HOST}:{self.port}":
            return web.Response(text=REFUSED, status=HTTPStatus.MISDIRECTED_REQUEST)
        if self._is_secret(request.query.get("key")):
            answer: web.StreamResponse = web.HTTPFound("/")
            answer.set_cookie(COOKIE, self._secret, httponly=True, samesite="Strict")
        elif not self._is_secret(request.cookies.get(COOKIE)) or self._is_foreign(request):
            answer = web.Response(text=REFUSED, status=HTTPStatus.FORBIDDEN)
        else:
            answer = await handler(request)
        if not answer.prepared:
            answer.headers.update(POLICY)
        return answer

    def _is_secret(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self._secret.encode())

    def _is_foreign(self, request: web.Request) -> bool:
        """A WebSocket knows no same-origin rule: its page is named in the origin alone."""
        return request.headers.get("origin", self.public_url) != self.public_url


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise UserError(f"Port {port} is taken ({error.strerror}): choose another with --port, 0 for any.") from error


def _command_line(command: list[str]) -> str:
    return subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)
