"""What the sidecar and its interceptor tell each other: one order down the pipe, then lines of JSON up another one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

LISTEN_HOST = "127.0.0.1"
"""Whoever can reach the interceptor spends the user's money: never another machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What an interceptor is to do. It comes through the pipe, since a command line is for everybody to read."""

    key: str
    """The gateway's."""
    sidecar_url: str
    port: int
    hosts: tuple[str, ...]
    subscriptions: bool
    """Whether requests with a subscription's token come to the sidecar too."""
    authority: str
    """The folder with the authority's key."""
    trusted: str
    """The file with what the real hosts' certificates are held against."""

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Self:
        """Raises ValueError or TypeError for what is no order."""
        told: dict[str, Any] = json.loads(line)
        return cls(**{**told, "hosts": tuple(told["hosts"])})


@dataclass(frozen=True, slots=True)
class Report:
    """One line of what an interceptor says: that it listens, or why it cannot, or what the user should know."""

    ready: bool = False
    failure: str | None = None
    warning: str | None = None

    def line(self) -> bytes:
        return json.dumps({name: value for name, value in asdict(self).items() if value}).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Self:
        """What is no report (a traceback, say) counts as a warning."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            return cls(warning=line.decode(errors="replace").rstrip())
