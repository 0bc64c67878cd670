"""One answer as it is kept.

    length of the head, 4 bytes | head | payload

The head is JSON and says whose answer it is, how old and how long it lasts. The payload is what came from Claude,
unread: the events of a stream or the JSON of a message. It is put together only when somebody asks for it again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

import orjson

from sidecar.errors import GatewayError
from sidecar.exchange import Json, Note
from sidecar.fold import MessageFold
from sidecar.incoming import fold
from sidecar.sse import EventSplitter

LENGTH_BYTES: Final = 4


class CorruptReplyError(Exception):
    """Bytes that are no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    key: str
    project: str
    model: str
    """The Claude id that answered."""
    route_reason: str = ""
    """Why routing chose that model; empty where it did not."""
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
        head = orjson.dumps({name: getattr(self, name) for name in IN_THE_HEAD})
        return len(head).to_bytes(LENGTH_BYTES) + head + self.payload

    @classmethod
    def from_bytes(cls, key: str, kept: bytes) -> Reply:
        """Raises CorruptReplyError."""
        payload_at = LENGTH_BYTES + int.from_bytes(kept[:LENGTH_BYTES])
        try:
            head: dict[str, Any] = orjson.loads(kept[LENGTH_BYTES:payload_at])
            notes = tuple(Note(**note) for note in head.pop("notes"))
            return cls(key=key, notes=notes, payload=kept[payload_at:], **head)
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptReplyError("it is no answer of this version") from error


IN_THE_HEAD: Final = tuple(field.name for field in fields(Reply) if field.name not in ("key", "payload"))


def _folded(events: bytes) -> Json:
    folding = MessageFold()
    fold(folding, EventSplitter().take(events) or ())
    return folding.message
