"""Anthropic's stream events, folded into the message they spell.

Whatever dialect the client speaks, this is how a streamed answer becomes the dict that an unstreamed one would have
been. Events and deltas that are newer than this file are skipped.
"""

from __future__ import annotations

from typing import Any

import orjson

from sidecar.errors import GatewayError
from sidecar.exact_json import loads_exactly
from sidecar.exchange import Json

SPELLED = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""Delta type -> its field, for what comes in pieces."""

SET_AT_ONCE = {"signature_delta": ("signature",), "compaction_delta": ("content", "encrypted_content")}
"""Delta type -> its fields, for what comes whole."""

UNPARSABLE = "INVALID_JSON"
"""Anthropic's own wrapping of tool input that is no JSON, because `max_tokens` cut it or the model slipped
(docs: fine-grained tool streaming)."""


class MessageFold:
    """`feed(event)` until `complete`, then `message`."""

    def __init__(self) -> None:
        self._message: Json = {}
        self._blocks: dict[int, _OpenBlock] = {}
        self.complete = False

    def feed(self, event: Json) -> None:
        """Take one parsed event. Raises GatewayError for a piece of something that never began."""
        match event.get("type"):
            case "content_block_delta":
                self._block(event["index"]).feed(event["delta"])
            case "content_block_start":
                self._blocks[event["index"]] = _OpenBlock(event["content_block"])
            case "message_delta":
                self._message_delta(event)
            case "message_start":
                self._message = dict(event["message"])
            case "message_stop":
                if not self._message:
                    raise _broken("it ended before it began")
                self.complete = True

    def spell(self, index: int, kind: str, text: str) -> None:
        """Take a piece of what is spelled in deltas of this kind, as `feed` takes the delta of it."""
        self._block(index).spell(SPELLED[kind], text)

    @property
    def message(self) -> Json:
        """The complete message. Raises ValueError before its last event."""
        if not self.complete:
            raise ValueError("the message is not complete: its message_stop has not come")
        return self.so_far

    @property
    def so_far(self) -> Json:
        """The message as far as it came."""
        return {**self._message, "content": [self._blocks[index].closed() for index in sorted(self._blocks)]}

    def block(self, index: int) -> Json:
        """One block as far as it came. Raises GatewayError for one that never began."""
        return self._block(index).closed()

    def _block(self, index: int) -> _OpenBlock:
        block = self._blocks.get(index)
        if block is None:
            raise _broken(f"a piece of content block {index} came before its beginning")
        return block

    def _message_delta(self, event: Json) -> None:
        message = self._message
        if not message:
            raise _broken("it ended before it began")
        news = {name: value for name, value in event.items() if name not in {"type", "delta", "usage"}}
        for name, value in (news | event.get("delta", {})).items():
            if value is not None or name not in message:
                message[name] = value
        # Counters are running totals, and those that a message_delta leaves out keep their first value.
        counted = {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
        if counted:
            message["usage"] = {**(message.get("usage") or {}), **counted}


class _OpenBlock:
    """One content block on its way. Pieces are kept apart until the end: adding strings up would copy each text once
    per delta."""

    def __init__(self, block: Json) -> None:
        self._block = dict(block)
        self._pieces: dict[str, list[str]] = {}

    def feed(self, delta: Json) -> None:
        kind = delta["type"]
        if (field := SPELLED.get(kind)) is not None:
            self.spell(field, delta[field])
        elif kind == "citations_delta":
            self._block["citations"] = [*(self._block.get("citations") or ()), delta["citation"]]
        else:
            for name in SET_AT_ONCE.get(kind, ()):
                if name in delta:
                    self._block[name] = delta[name]

    def spell(self, field: str, piece: str) -> None:
        self._pieces.setdefault(field, []).append(piece)

    def closed(self) -> Json:
        block = dict(self._block)
        for field, pieces in self._pieces.items():
            text = "".join(pieces)
            if field != "partial_json":
                block[field] = block.get(field, "") + text
            elif text:
                block["input"] = parse_input(text)
        return block


def parse_input(text: str) -> Any:
    """A tool's input from its JSON text; what cannot be read and written again exactly is wrapped, never lost."""
    try:
        return loads_exactly(text)
    except ValueError:
        return {UNPARSABLE: text}


def input_text(value: Any) -> str:
    """The JSON text of a tool's input: the inverse of `parse_input`."""
    if isinstance(value, dict) and len(value) == 1:
        text = value.get(UNPARSABLE)
        if isinstance(text, str) and parse_input(text) == value:
            return text
    return orjson.dumps(value).decode()


def _broken(how: str) -> GatewayError:
    return GatewayError("api_error", f"Claude's answer is broken: {how}.", status=502, code="upstream_broken")
