"""Requests that come again byte for byte: their keys are known without another look into them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

from sidecar.exchange import Exchange
from sidecar.projects.policy import Policy
from sidecar.replies.request_key import speaks_of_the_answer

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of all bodies that are remembered, and what each takes besides."""
BESIDE: Final = 600
"""Bytes: what it is looked for by, and its key."""
LONGEST: Final = 256 * 1024
"""Of one body, bytes."""
TAIL: Final = 64
"""Bytes at a body's end by which it is looked for: clients write what is new there."""
ELSEWHERE: Final = b"previous_response_id"
"""What such a request means stands in another one."""


class _Known(NamedTuple):
    body: bytes
    policy: Policy
    key: str


class Repeats:
    """Those used longest ago go first. Belongs to one event loop, and to one set of settings."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
        self._bytes = 0

    def key(self, exchange: Exchange) -> str | None:
        """The `reply_key` that the same request had before."""
        name = _name(exchange)
        known = self._known.get(name)
        if known is None or known.body != exchange.client_body or known.policy != exchange.policy:
            return None
        self._known.move_to_end(name)
        return known.key

    def learn(self, exchange: Exchange) -> None:
        """Its `reply_key` is known."""
        body, key = exchange.client_body, exchange.reply_key
        if key is None or len(body) > LONGEST or exchange.dialect == "openai_responses":
            return
        if exchange.made is None and ELSEWHERE in body:  # else it has messages, and they are what counts
            return
        name = _name(exchange)
        if (before := self._known.pop(name, None)) is not None:
            self._bytes -= _size(before)
        known = self._known[name] = _Known(body, exchange.policy, key)
        self._bytes += _size(known)
        while self._bytes > MOST_BYTES:
            _, oldest = self._known.popitem(last=False)
            self._bytes -= _size(oldest)


def _size(known: _Known) -> int:
    return len(known.body) + BESIDE


def _name(exchange: Exchange) -> Hashable:
    """All that a reply's key is made of beside the body and the policy, and where to look for that body."""
    body, headers = exchange.client_body, exchange.client_headers
    return (
        len(body),
        body[-TAIL:],
        exchange.dialect,
        exchange.project,
        exchange.model_resolved,
        exchange.effort_hint,
        exchange.wish,
        exchange.choices,
        exchange.query,
        tuple([(name, headers[name]) for name in headers if speaks_of_the_answer(name)]),
    )
