"""Responses that are kept for clients that come back to them: what one says, and the row of items it stands in.

A response is kept with its own input and the id of the one before it. What Claude is asked is the row of all of them:
each item as the client wrote it or got it, so that the same row always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from sidecar.dialects.openai_responses.output import PREFIXES
from sidecar.errors import GatewayError
from sidecar.exchange import Json

KEY_LENGTH: Final = 32
"""Characters that the ids of a response and of its items share."""

_KINDS: Final = frozenset(PREFIXES.values())


@dataclass(frozen=True, slots=True)
class Stored:
    response: Json
    """As the client got it."""
    input: Sequence[Json]
    """The items of its request alone."""

    @property
    def id(self) -> str:
        return str(self.response["id"])

    @property
    def created(self) -> float:
        """Unix seconds."""
        return float(self.response["created_at"])

    @property
    def before(self) -> str | None:
        """The response that its request went on from."""
        told = self.response.get("previous_response_id")
        return told if isinstance(told, str) else None

    def to_bytes(self) -> bytes:
        return orjson.dumps({"response": self.response, "input": list(self.input)})

    @classmethod
    def from_bytes(cls, kept: bytes) -> Stored:
        """Raises ValueError."""
        told = orjson.loads(kept)
        try:
            return cls(dict(told["response"]), list(told["input"]))
        except (LookupError, TypeError) as error:
            raise ValueError("not a response as it is kept") from error


def history_of(chain: Iterable[Stored]) -> list[tuple[Json, str]]:
    """The items of a row of responses, the oldest first, each with its path."""
    items = [item for stored in chain for item in (*stored.input, *stored.response["output"])]
    return [(item, f"previous_response_id[{index}]") for index, item in enumerate(items)]


def input_items(stored: Stored) -> list[Json]:
    """The input of a response as OpenAI lists it: messages in their long form, everything with an id."""
    key = stored.id.removeprefix("resp_")
    return [_listed(item, f"{key}i{index:03x}") for index, item in enumerate(stored.input)]


def _listed(item: Json, name: str) -> Json:
    kind = item.get("type") or "message"
    prefix = PREFIXES.get(kind) or "it"
    listed: Json = {"id": None, "type": kind, "status": "completed"} | item
    listed["id"] = listed["id"] or f"{prefix}_{name}"
    if kind == "message" and isinstance(words := item.get("content"), str):
        said: Json = {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
        listed["content"] = [said if item.get("role") == "assistant" else {"type": "input_text", "text": words}]
    return listed


def response_of(item_id: str) -> str | None:
    """The id of the response that an item came from; None for an id that is none of ours."""
    kind, _, rest = item_id.partition("_")
    return f"resp_{rest[:KEY_LENGTH]}" if kind in _KINDS and len(rest) == KEY_LENGTH + 4 else None


def references_in(items: Iterable[object]) -> list[str]:
    """The ids that `item_reference` items name."""
    return [
        item["id"]
        for item in items
        if isinstance(item, dict) and item.get("type") == "item_reference" and isinstance(item.get("id"), str)
    ]


def resolved(items: Iterable[object], found: Mapping[str, Stored]) -> list[object]:
    """`input` with what it refers to in its place. Raises GatewayError (404) for what is not kept."""
    return [
        _item(str(item.get("id")), found, f"input[{index}]")
        if isinstance(item, dict) and item.get("type") == "item_reference"
        else item
        for index, item in enumerate(items)
    ]


def _item(item_id: str, found: Mapping[str, Stored], path: str) -> Json:
    stored = found.get(response_of(item_id) or "")
    for item in stored.response["output"] if stored is not None else ():
        if item.get("id") == item_id:
            return dict(item)
    raise GatewayError(
        "not_found_error",
        f"{path}: item {item_id[:80]!r} is not kept here (any more): send the item itself. Only items of answers that "
        "were stored can be referred to.",
        param=path,
        code="item_not_found",
    )
