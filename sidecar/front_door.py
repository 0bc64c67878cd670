"""Who may talk to the port at all: neither a page in a browser nor a name that only pretends to mean this machine.

Every web page that the user opens can send requests to localhost, and by *DNS rebinding* even under a name of its own.
So the names that a request may call this machine by are listed, and a request that a page sent is refused before
anything else looks at it, whatever key it has.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.errors import GatewayError
from sidecar.headers import printable

OWN_NAMES: Final = frozenset({"localhost", "host.docker.internal", "host.containers.internal"})
"""Names that a resolver on this machine (or in a container on it) answers, and never a stranger's."""

EDITOR_SCHEMES: Final = frozenset({"vscode-webview", "vscode-file"})
"""Origins of windows inside an editor. No web page can have them."""

FROM_ANOTHER_SITE: Final = (b"cross-site", b"same-site")
"""What a browser says of a page's request that it sends without an origin: of an image, say."""

TWO_HOSTS: Final = b"two hosts"
"""One of them would be for a proxy, the other for us."""

PREFLIGHT_SECONDS: Final = 600
METHODS: Final = "GET, POST, DELETE, PATCH"
EXPOSED: Final = "x-request-id, x-cache, x-gateway-model, x-gateway-report, x-gateway-route, request-id, retry-after"
_TOKENS = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(\s*,\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")


class Gate:
    """What this machine is called, and which pages may talk to it."""

    def __init__(self, *, hosts: Iterable[str] = (), origins: Iterable[str] = (), open_to_others: bool = False) -> None:
        """`hosts` are more names of this machine, `origins` web origins that are allowed (`https://chat.example`,
        `null`). `open_to_others` says that the port is not on loopback: this machine's own name counts then."""
        self._hosts = OWN_NAMES | {_name(host.encode()) for host in hosts}
        if open_to_others:
            own = socket.gethostname().lower()
            self._hosts |= {own, f"{own.partition('.')[0]}.local"}
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def is_plain(self, scope: Scope) -> bool:
        """Whether a request may pass and needs no word about it: it calls this machine by its name, and no page sent
        it."""
        told = _headers(scope)
        return (
            told.get(b"origin") is None
            and told.get(b"sec-fetch-site") not in FROM_ANOTHER_SITE
            and self.is_ours(told.get(b"host"))
        )

    def is_ours(self, host: bytes | None) -> bool:
        """An address is always ours: only a name can be made to point here."""
        name, is_address = _read_host(host or b"")
        return is_address or name in self._hosts or name.endswith(".localhost")

    def allows(self, origin: bytes | None) -> bool:
        if origin is None:
            return False
        text = origin.decode("latin-1").lower()
        return text in self._origins or text.partition("://")[0] in EDITOR_SCHEMES


class FrontDoor:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, refusal: Callable[[Request, GatewayError], Response], gate: Gate) -> None:
        self._app = app
        self._refusal = refusal
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._gate.is_plain(scope):
            await self._app(scope, receive, send)
            return
        told = _headers(scope)
        host, origin = told.get(b"host"), told.get(b"origin")
        if not self._gate.is_ours(host):
            await self._refuse(scope, receive, send, _wrong_host(host))
        elif not self._gate.allows(origin):
            await self._refuse(scope, receive, send, _wrong_origin(origin))
        elif scope["method"] == "OPTIONS" and b"access-control-request-method" in told:
            await _preflight(send, origin or b"", told)
        else:
            await self._app(scope, receive, _told(send, origin or b""))

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, error: GatewayError) -> None:
        await self._refusal(Request(scope), error)(scope, receive, send)


def _headers(scope: Scope) -> dict[bytes, bytes]:
    headers = scope["headers"]
    told: dict[bytes, bytes] = dict(headers)
    if len(told) < len(headers) and sum(name == b"host" for name, _ in headers) > 1:
        told[b"host"] = TWO_HOSTS
    return told


def _name(host: bytes) -> str:
    """Without its port; empty for what is none."""
    try:
        return (urlsplit(f"//{host.decode('ascii')}").hostname or "").rstrip(".")
    except ValueError:
        return ""


@lru_cache(maxsize=64)
def _read_host(host: bytes) -> tuple[str, bool]:
    """Its name, and whether that is an address."""
    name = _name(host)
    return name, _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _wrong_host(host: bytes | None) -> GatewayError:
    said = printable((host or b"").decode("latin-1")) or "nothing"
    return GatewayError(
        "permission_error",
        f"This request calls cgw {said}, which is no name of this machine: use 127.0.0.1 or localhost, or add the name "
        "to ALLOWED_HOSTS.",
        code="host_not_allowed",
    )


def _wrong_origin(origin: bytes | None) -> GatewayError:
    said = printable((origin or b"another site").decode("latin-1"))
    return GatewayError(
        "permission_error",
        f"A page in a browser ({said}) sent this request, and cgw answers none: if it is yours, add its origin to "
        "ALLOWED_ORIGINS.",
        code="origin_not_allowed",
    )


async def _preflight(send: Send, origin: bytes, told: Mapping[bytes, bytes]) -> None:
    """What a browser asks before it lets an allowed page send: the page's own headers are repeated, never `*`."""
    headers = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
        (b"vary", b"Origin"),
        (b"content-length", b"0"),
    ]
    asked = told.get(b"access-control-request-headers", b"")
    if _TOKENS.fullmatch(asked):
        headers.append((b"access-control-allow-headers", asked))
    if told.get(b"access-control-request-private-network") == b"true":
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _told(send: Send, origin: bytes) -> Send:
    async def with_origin(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", ()),
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", EXPOSED.encode()),
                (b"vary", b"Origin"),
            ]
        await send(message)

    return with_origin
