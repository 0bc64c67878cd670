"""Connections whose other end is gone without a word: a laptop that slept, a router that forgot, a cable.

Nothing would ever come of them, and TCP itself gives up what it sends after a quarter of an hour, and never what it
waits for. So the system asks a silent peer whether it is there, and takes none for gone later than this.
"""

from __future__ import annotations

import socket
from typing import Any, Final

IDLE_SECONDS: Final = 30
"""Of silence, after which the peer is asked."""
AGAIN_SECONDS: Final = 10
TIMES: Final = 3

UPSTREAM_SECONDS: Final = 60
"""How long what was sent to Claude may wait to be acknowledged. A connection that is found broken before an answer has
begun is no loss: the request is sent again."""
CLIENT_SECONDS: Final = 300
"""The same for what was sent to a client. It also ends what a client that is there does not read: it has halted in a
debugger, perhaps."""


def give_up_lost_peer(sock: socket.socket, after_seconds: float) -> None:
    """Whoever is connected by this socket, or accepted from it, is given up when it is gone. What a system cannot do is
    left out."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", IDLE_SECONDS),
        ("TCP_KEEPALIVE", IDLE_SECONDS),  # its name on macOS
        ("TCP_KEEPINTVL", AGAIN_SECONDS),
        ("TCP_KEEPCNT", TIMES),
        ("TCP_USER_TIMEOUT", int(after_seconds * 1000)),
    ):
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def upstream_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for one of `getaddrinfo`'s addresses, as aiohttp asks for it."""
    family, kind, protocol, *_ = address
    sock = socket.socket(family, kind, protocol)
    give_up_lost_peer(sock, UPSTREAM_SECONDS)
    return sock
