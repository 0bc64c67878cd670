"""Whose process is at the other end of a connection on this machine. The interceptor spends for whoever reaches it, so
it looks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Linux tells of every connection whose it is (proc(5)); other systems do not without rights that we do not have."""
LOOKS: Final = 3
"""While a table is read it changes, and a row may be missed."""
LOCAL, REMOTE, OWNER = 1, 2, 7
"""Columns."""

Address = tuple[str, int]


class Unknowable(Exception):  # noqa: N818  # no error: the system does not tell
    """Nobody here may know whose a connection is."""


def owner_of(peer: Address, here: Address) -> int | None:
    """The user id at the `peer` of an IPv4 connection to `here`; None where there is no such connection. Raises
    Unknowable."""
    wanted = (_written(*peer), _written(*here))
    for _ in range(LOOKS):
        for row in _rows():
            if (row[LOCAL][-len(wanted[0]) :], row[REMOTE][-len(wanted[1]) :]) == wanted:
                return int(row[OWNER])
    return None


def _rows() -> Iterator[list[str]]:
    try:
        texts = [table.read_text() for table in TABLES if table.exists()]
    except OSError as error:
        raise Unknowable from error
    if not texts:
        raise Unknowable
    for text in texts:
        yield from (row.split() for row in text.splitlines()[1:])


def _written(address: str, port: int) -> str:
    """As the tables have it: `0100007F:1F90`. What speaks IPv6 to an IPv4 address has more before it."""
    return f"{socket.inet_aton(address)[::-1].hex()}:{port:04x}".upper()
