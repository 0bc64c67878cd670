"""The socket to listen on, made before anything else starts: a port that is taken is then known at once."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from urllib.parse import urlsplit

from sidecar.config import is_loopback
from sidecar.lost_peers import CLIENT_SECONDS, give_up_lost_peer
from sidecar.user_errors import UserError

BACKLOG = 1024
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104  # told apart here, not bound to


class BindError(UserError):
    """The address cannot be listened on; the message is one sentence with what to do."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Port 0 takes a free one. Raises BindError."""
    try:
        addresses = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise BindError(f"{host} is no address of this machine ({error.strerror or error}): see --host.") from error
    family, kind, protocol, _, address = min(addresses, key=lambda found: found[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)  # asyncio turns Nagle's 40 ms off only where it sees the protocol
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        give_up_lost_peer(sock, CLIENT_SECONDS)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise BindError(bind_sentence(error, host, port)) from error
    sock.setblocking(False)
    return sock


def bind_sentence(error: OSError, host: str, port: int) -> str:
    """Why an address cannot be listened on, and what to do."""
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"Port {port} on {host} is taken by another program: choose another with --port (0 takes a free one)."
            )
        case errno.EACCES:
            return f"Port {port} may not be used by this user: choose one above 1023 with --port."
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: see --host."
        case _:
            return f"cgw cannot listen on {host} port {port} ({error.strerror or error}): see --host and --port."


def reachable_url(sock: socket.socket) -> str:
    """The base URL for clients on this machine, without `/v1`."""
    host, port = sock.getsockname()[:2]
    return url_at(host, port)


def url_at(host: str, port: int) -> str:
    """The base URL of what listens on `host`, for clients on this machine, without `/v1`."""
    if host in WILDCARDS:
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def leads_to(url: str, sock: socket.socket) -> bool:
    """Whether a request to `url` would arrive at this very socket."""
    target = urlsplit(url)
    host, port = sock.getsockname()[:2]
    if (target.port or {"http": 80, "https": 443}.get(target.scheme)) != port:
        return False
    asked = target.hostname or ""
    return asked == host or (is_loopback(asked) and (is_loopback(host) or host in WILDCARDS)) or asked in WILDCARDS
