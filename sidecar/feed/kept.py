"""The newest exchanges with their bodies, for whoever wants to look at one. Only in memory, and bounded twice.

What is kept is light: bytes that were there anyway, and none of the parsed request, which takes ten times as much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson

from sidecar.accounts.account import Account
from sidecar.conversation import Edit
from sidecar.exchange import Decision, Exchange, Json, Note, Timing, Usage
from sidecar.feed.switches import Switches
from sidecar.prompt import Prompt

MOST_BYTES: Final = 24 * 1024 * 1024
"""Of all bodies, answers and edits together."""


@dataclass(frozen=True, slots=True)
class KeptEdit:
    """A block that did not go as the client wrote it."""

    where: str
    """`messages[12].content[0]`."""
    before: bytes
    """The client's block as JSON."""
    edit: Edit
    new: bool
    """Made in this request, and not in an earlier turn."""


@dataclass(slots=True)
class KeptExchange:
    row: Json
    started: datetime
    client_headers: Mapping[str, str]
    client_body: bytes
    query: str
    upstream_body: tuple[bytes, ...]
    """In pieces."""
    upstream_headers: Mapping[str, str]
    edits: tuple[KeptEdit, ...]
    bytes_a_token: float
    decisions: tuple[Decision, ...]
    notes: tuple[Note, ...]
    answer: bytes | None
    """The whole message as JSON: parsed it would take five times as much."""
    heard: bytes | None
    """Claude's answer as it came, where there is no whole message."""
    account: Account | None
    usage: Usage
    timing: Timing
    size: int = field(init=False)
    """Bytes."""

    def __post_init__(self) -> None:
        posted = (piece for piece in self.upstream_body if piece is not self.client_body)
        self.size = len(self.client_body) + sum(map(len, posted)) + len(self.answer or b"") + len(self.heard or b"")
        if self.edits:
            self.size += sum(len(kept.before) for kept in self.edits)


class KeptExchanges:
    """By request id, oldest first. Belongs to one event loop."""

    def __init__(self, switches: Switches, *, most_bytes: int = MOST_BYTES) -> None:
        self._switches = switches
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, KeptExchange] = OrderedDict()
        self._size = 0

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes of all."""
        return self._size

    @property
    def wanted(self) -> bool:
        return self._switches.keep_bodies > 0

    def get(self, request_id: str) -> KeptExchange | None:
        return self._kept.get(request_id)

    def add(self, exchange: Exchange, row: Json) -> bool:
        """Whether it is kept: one that is too large alone is not. `row` is the exchange's own, and kept with it."""
        if not self.wanted:
            return False
        kept = _kept(exchange, row)
        if kept.size > self._most_bytes:
            return False
        self._kept[exchange.id] = kept
        self._size += kept.size
        self.trim()
        return exchange.id in self._kept

    def trim(self) -> None:
        """Let go of the oldest that are too many or too much."""
        while self._kept and (len(self._kept) > self._switches.keep_bodies or self._size > self._most_bytes):
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size


def _kept(exchange: Exchange, row: Json) -> KeptExchange:
    prompt = exchange.prompt
    answer = _written(exchange.answer)
    return KeptExchange(
        row=row,
        started=exchange.started,
        client_headers=exchange.client_headers,
        client_body=exchange.client_body,
        query=exchange.query,
        upstream_body=exchange.upstream_body,
        upstream_headers=exchange.upstream_headers,
        edits=tuple(_edits(prompt)) if prompt is not None else (),
        bytes_a_token=prompt.bytes_a_token if prompt is not None else 1.0,
        decisions=tuple(exchange.decisions),
        notes=tuple(exchange.notes),
        answer=answer,
        heard=exchange.heard if answer is None else None,
        account=exchange.account,
        usage=exchange.billed,
        timing=exchange.timing,
    )


def _written(answer: Json | None) -> bytes | None:
    """None for one that cannot be written: nested too deeply, or with halves of characters."""
    try:
        return None if answer is None else orjson.dumps(answer)
    except orjson.JSONEncodeError:
        return None


def _edits(prompt: Prompt) -> Iterator[KeptEdit]:
    for index in prompt.edited:
        if (edit := prompt.edit(index)) is not None:
            at = prompt.positions[index]
            yield KeptEdit(_where(prompt, index), at.raw, edit, index >= prompt.frozen)


def _where(prompt: Prompt, index: int) -> str:
    """As a path in Anthropic's request."""
    at = prompt.positions[index]
    first = index
    while first and prompt.positions[first - 1].zone == at.zone and prompt.positions[first - 1].message == at.message:
        first -= 1
    if at.zone == "messages":
        return f"messages[{at.message}].content[{index - first}]"
    return f"{at.zone}[{index - first}]"
