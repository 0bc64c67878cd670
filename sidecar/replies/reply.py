"""One answer as it is kept: bytes of our own format, never pickled.

    cgw-reply 1 | 16 bytes of blake2b over the key and all that follows | length of the head, 4 bytes | head | payload

The head is JSON and says whose answer it is, how old and how long it lasts. The payload is what came from Claude,
unread: the events of a stream or the JSON of a message. It is put together only when somebody asks for it again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any, Final, Literal

import orjson

from sidecar.errors import GatewayError
from sidecar.exchange import Json, Note
from sidecar.fold import MessageFold
from sidecar.incoming import fold
from sidecar.sse import EventSplitter

MAGIC: Final = b"cgw-reply 1\n"
SUM_BYTES: Final = 16
LENGTH_BYTES: Final = 4
_HEAD_AT: Final = len(MAGIC) + SUM_BYTES + LENGTH_BYTES


class CorruptReplyError(Exception):
    """Bytes that are not what was kept under this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    key: str
    project: str
    model: str
    """The Claude id that answered."""
    stop_reason: str
    stored_at: float
    """Epoch seconds."""
    ttl_seconds: float
    notes: tuple[Note, ...] = ()
    """What the client was told of its request when Claude answered it."""
    form: Literal["events", "message"]
    payload: bytes

    def age(self, now: float) -> float:
        """In seconds; a clock that was set back makes nothing younger than new."""
        return max(0.0, now - self.stored_at)

    def is_fresh(self, now: float) -> bool:
        return self.age(now) < self.ttl_seconds

    def message(self) -> Json:
        """The complete answer. Raises CorruptReplyError."""
        try:
            message: Json = orjson.loads(self.payload) if self.form == "message" else _folded(self.payload)
        except (ValueError, TypeError, KeyError, GatewayError) as error:
            raise CorruptReplyError(f"it cannot be put together: {error}") from error
        return message

    def put_together(self, message: Json) -> Reply:
        """The same with `message` for its payload: sooner read."""
        return self if self.form == "message" else replace(self, form="message", payload=orjson.dumps(message))

    def to_bytes(self) -> bytes:
        head = orjson.dumps({name: value for name, value in asdict(self).items() if name not in ("key", "payload")})
        rest = len(head).to_bytes(LENGTH_BYTES) + head + self.payload
        return MAGIC + _sum(self.key, rest) + rest

    @classmethod
    def from_bytes(cls, key: str, kept: bytes) -> Reply:
        """Raises CorruptReplyError."""
        if not kept.startswith(MAGIC) or len(kept) < _HEAD_AT:
            raise CorruptReplyError("not an answer of this version")
        rest = kept[len(MAGIC) + SUM_BYTES :]
        if kept[len(MAGIC) : len(MAGIC) + SUM_BYTES] != _sum(key, rest):
            raise CorruptReplyError("its check sum is another")
        length = int.from_bytes(rest[:LENGTH_BYTES])
        head: dict[str, Any] = orjson.loads(rest[LENGTH_BYTES : LENGTH_BYTES + length])
        notes = tuple(Note(**note) for note in head.pop("notes"))
        return cls(key=key, notes=notes, payload=rest[LENGTH_BYTES + length :], **head)


def _folded(events: bytes) -> Json:
    folding = MessageFold()
    fold(folding, EventSplitter().feed(events))
    return folding.message


def _sum(key: str, rest: bytes) -> bytes:
    return blake2b(rest, digest_size=SUM_BYTES, key=key.encode()[:64]).digest()
