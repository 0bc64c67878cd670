"""Claude's signed thinking in one answer, as it is kept for clients that send the answer back without it.

Thinking belongs to its place: it is put back in front of the very blocks it came in front of, whole, or not at all.

Pure values; nothing here knows a store or a server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

from sidecar.conversation import THINKING, unmarked
from sidecar.exchange import Json
from sidecar.prompt import SYSTEM_TAG

Ahead = tuple[tuple[int, tuple[Json, ...]], ...]
"""Thinking blocks by the number of the block they stand in front of, among those that a client sends back."""

_SIGNED_BY: Final = {"thinking": "signature", "redacted_thinking": "data"}
_BEFORE, _BEHIND = SYSTEM_TAG.split("{}")


class CorruptThinkingError(Exception):
    """Bytes that are no thinking that this version kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptThinking:
    project: str
    model: str
    """The Claude id that thought it: no other can read it."""
    at: float
    """Epoch seconds."""
    turn: str
    """`turn_digest` of the answer, in hex."""
    ahead: Ahead
    tokens: int
    """What Claude counted for all of it; 0 where it did not say."""

    def sizes(self, bytes_a_token: float) -> list[int]:
        """What each of `ahead` counts for, in bytes of text of as many tokens. How the tokens are shared between
        several is an estimate."""
        lengths = [sum(len(orjson.dumps(block)) for block in blocks) for _, blocks in self.ahead]
        if not self.tokens:
            return lengths
        scale = self.tokens * bytes_a_token / sum(lengths)
        return [round(length * scale) for length in lengths]

    def to_bytes(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, kept: bytes) -> KeptThinking:
        """Raises CorruptThinkingError."""
        try:
            told: dict[str, Any] = orjson.loads(kept)
            told["ahead"] = tuple((number, tuple(blocks)) for number, blocks in told["ahead"])
            return cls(**told)
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptThinkingError("it is no thinking of this version") from error


def holds_thinking(events: bytes) -> bool:
    """Whether there may be thinking in the events of an answer. A text that names it has its quotes escaped."""
    return b'thinking"' in events


def thinking_in(answer: Json) -> Ahead | None:
    """The thinking of an answer. None where there is none, and where it could not be given back as it came: unsigned,
    or behind the last block."""
    ahead: list[tuple[int, tuple[Json, ...]]] = []
    waiting: list[Json] = []
    number = 0
    for block in answer.get("content") or ():
        kind = block.get("type")
        if kind in THINKING:
            if not block.get(_SIGNED_BY[kind]):
                return None
            waiting.append(block)
        elif _is_sent_back(block):
            if waiting:
                ahead.append((number, tuple(waiting)))
                waiting = []
            number += 1
    return tuple(ahead) if ahead and not waiting else None


def turn_digest(blocks: Iterable[Json]) -> str:
    """Of what an assistant's turn says and calls, the same for Claude's own blocks and for those that a stateless
    client sends back."""
    said = [_said(block) for block in blocks if _is_sent_back(block)]
    return blake2b(orjson.dumps(said), digest_size=16).hexdigest()


def ends_alike(one: Json, other: Json) -> bool:
    """Whether two requests end with the same words of the user's and of the system, cache markers and the form of
    system text aside. What `fit` or an addon said at the end of one is not said there again in the next turn."""
    return Counter(_newest(one)) == Counter(_newest(other))


def _is_sent_back(block: Json) -> bool:
    """Thinking is not, and blank text is refused."""
    if block.get("type") == "text":
        return bool(str(block.get("text") or "").strip())
    return block.get("type") not in THINKING


def _said(block: Json) -> Any:
    match block.get("type"):
        case "text" if not block.get("citations"):
            return ["text", block["text"]]
        case "tool_use":
            return ["tool_use", block.get("id"), block.get("name"), block.get("input")]
        case _:
            return unmarked(block)[0]


def _newest(request: Json) -> Iterator[bytes]:
    for message in reversed(request["messages"]):
        if message["role"] == "assistant":
            return
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield orjson.dumps(_untagged(unmarked(block)[0]))


def _untagged(block: Json) -> Json:
    text = block.get("text")
    if not isinstance(text, str) or not text.startswith(_BEFORE):
        return block
    return {**block, "text": text.removeprefix(_BEFORE).removesuffix(_BEHIND)}
