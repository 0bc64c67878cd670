"""Names that nobody can guess and nothing else has, without asking the system for each of them.

A system call gives the interpreter away, and on one core it comes back when a thread that writes has had its turn: the
event loop waited longer for 16 random bytes than it takes to look a request's conversation up.
"""

from __future__ import annotations

import os
from typing import Final

ID_BYTES: Final = 16
AT_ONCE: Final = 256
"""Names for which bytes are fetched together."""


class RandomIds:
    """32 hexadecimal digits at a time, 128 random bits. Thread-safe: no two threads get the same."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def __call__(self) -> str:
        try:
            return self._ids.pop()
        except IndexError:
            digits = os.urandom(ID_BYTES * AT_ONCE).hex()
            size = 2 * ID_BYTES
            first, *rest = [digits[at : at + size] for at in range(0, len(digits), size)]
            self._ids += rest
            return first


random_id: Final = RandomIds()
"""This process's. A process that is started gets its own; none is forked while it answers."""
