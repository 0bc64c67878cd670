"""A message as bytes: the JSON body of a plain answer and the server-sent events of a streamed one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sidecar.simulator.answers import ERRORS
from sidecar.simulator.caching import Reading
from sidecar.simulator.composing import Message
from sidecar.simulator.server_tools import usage_of
from sidecar.simulator.tokens import block_tokens, text_tokens

PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class Event(NamedTuple):
    """One server-sent event. `tokens` is the output it brings, for the bill of a stream that ends early."""

    name: str
    data: dict[str, Any]
    tokens: int = 0
    thinking: bool = False

    @property
    def is_delta(self) -> bool:
        return self.name == "content_block_delta"

    def encode(self) -> bytes:
        payload = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        return f"event: {self.name}\ndata: {payload}\n\n".encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a response says beside its content."""

    reading: Reading
    speed: str | None = None
    inference_geo: str | None = None
    diagnostics: dict[str, Any] | None = None


def message_body(message: Message, terms: Terms) -> dict[str, Any]:
    """The body of a plain answer."""
    usage = _input_usage(terms) | _output_usage(message)
    return _envelope(message, terms) | {
        "content": message.blocks,
        "stop_reason": message.stop_reason,
        "stop_sequence": message.stop_sequence,
        "stop_details": message.stop_details,
        "usage": usage,
    }


def message_events(message: Message, terms: Terms, *, delta_chars: int) -> Iterator[Event]:
    """The events of a streamed answer, first to last."""
    start = _envelope(message, terms) | {
        "usage": _input_usage(terms) | {"output_tokens": min(1, message.output_tokens)}
    }
    yield Event("message_start", {"type": "message_start", "message": start})
    for index, block in enumerate(message.blocks):
        last = index == len(message.blocks) - 1
        cut_input = message.cut_input if last else None
        for number, event in enumerate(_block_events(index, block, delta_chars, cut_input)):
            yield event
            if index == number == 0:
                yield Event("ping", {"type": "ping"})
    delta = {
        "stop_reason": message.stop_reason,
        "stop_sequence": message.stop_sequence,
        "stop_details": message.stop_details,
    }
    usage = _input_usage(terms)
    counters = {name: usage[name] for name in _COUNTERS} | _output_usage(message)
    yield Event("message_delta", {"type": "message_delta", "delta": delta, "usage": counters})
    yield Event("message_stop", {"type": "message_stop"})


def error_body(status: int, message: str | None, request_id: str, kind: str | None = None) -> dict[str, Any]:
    """Anthropic's error shape, as an HTTP body and as the data of an `error` event."""
    usual_kind, usual_message = ERRORS.get(status, ERRORS[500])
    error = {"type": kind or usual_kind, "message": message or usual_message}
    return {"type": "error", "error": error, "request_id": request_id}


_COUNTERS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _envelope(message: Message, terms: Terms) -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "id": message.id,
        "type": "message",
        "role": "assistant",
        "model": message.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }
    if terms.diagnostics is not None:
        envelope["diagnostics"] = terms.diagnostics
    return envelope


def _input_usage(terms: Terms) -> dict[str, Any]:
    reading = terms.reading
    usage: dict[str, Any] = {
        "input_tokens": reading.input,
        "cache_creation_input_tokens": reading.write_5m + reading.write_1h,
        "cache_read_input_tokens": reading.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": reading.write_5m,
            "ephemeral_1h_input_tokens": reading.write_1h,
        },
        "service_tier": "standard",
        "inference_geo": terms.inference_geo or "global",
    }
    if terms.speed is not None:
        usage["speed"] = terms.speed
    return usage


def _output_usage(message: Message) -> dict[str, Any]:
    return {
        "output_tokens": message.output_tokens,
        "output_tokens_details": {"thinking_tokens": message.thinking_tokens},
        **usage_of(message.blocks),
    }


def _block_events(index: int, block: dict[str, Any], size: int, cut_input: str | None) -> Iterator[Event]:
    def start(content: dict[str, Any]) -> Event:
        return Event("content_block_start", {"type": "content_block_start", "index": index, "content_block": content})

    thinking = block["type"] == "thinking"

    def delta(tokens: int = 0, **fields: Any) -> Event:
        data = {"type": "content_block_delta", "index": index, "delta": fields}
        return Event("content_block_delta", data, tokens, thinking)

    match block["type"]:
        case "text":
            citations = block.get("citations")
            yield start({**block, "text": ""} | ({"citations": []} if citations else {}))
            for piece in _pieces(block["text"], size):
                yield delta(text_tokens(piece), type="text_delta", text=piece)
            for citation in citations or ():
                yield delta(type="citations_delta", citation=citation)
        case "thinking":
            yield start({"type": "thinking", "thinking": "", "signature": ""})
            for piece in _pieces(block["thinking"], size):
                yield delta(text_tokens(piece), type="thinking_delta", thinking=piece)
            hidden = max(0, block_tokens(block) - text_tokens(block["thinking"]))
            yield delta(hidden, type="signature_delta", signature=block["signature"])
        case "tool_use" | "server_tool_use":
            yield start({**block, "input": {}})
            yield delta(type="input_json_delta", partial_json="")
            arguments = json.dumps(block["input"], ensure_ascii=False) if cut_input is None else cut_input
            for piece in _pieces(arguments if block["input"] or cut_input is not None else "", size):
                yield delta(text_tokens(piece), type="input_json_delta", partial_json=piece)
        case _:
            yield start(block)
    yield Event("content_block_stop", {"type": "content_block_stop", "index": index})


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]
