"""Ports of loopback that stay free until they are used."""

from __future__ import annotations

import secrets
import socket

PORTS = range(20_000, 32_000)
"""Below those that systems give to whoever asks for any port, and to the near end of every connection. One of those
would be taken by somebody else a moment later; and who keeps knocking at one where nobody listens any more may at last
be given that very port for its own end, and is then connected with itself."""


def free_port() -> int:
    while True:
        port = secrets.choice(PORTS)  # `random` has the same state in two workers after a property test
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
