"""A complete message as the stream that would have spelled it: how a stored answer reaches a streaming client."""

from __future__ import annotations

import orjson

from sidecar.exchange import Json
from sidecar.fold import input_text
from sidecar.sse import ServerSentEvent

TOLD_AT_THE_END = ("stop_reason", "stop_sequence", "stop_details")
"""Fields that a `message_start` carries as null and the `message_delta` fills."""

COUNTED_AT_THE_END = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
)
"""Counters that a `message_delta` repeats (SDK: MessageDeltaUsage)."""


def stream_of(message: Json) -> list[ServerSentEvent]:
    """The events of `message`, each block in one piece. `MessageFold` makes the same message of them again."""
    events = [_message_start(message)]
    for index, block in enumerate(message["content"]):
        opening, deltas = _spelled(block)
        events.append({"type": "content_block_start", "index": index, "content_block": opening})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events += [_message_delta(message), {"type": "message_stop"}]
    return [as_event(event) for event in events]


def as_event(wire: Json) -> ServerSentEvent:
    name = wire["type"].encode()
    data = orjson.dumps(wire)
    return ServerSentEvent(name, data, b"event: %b\ndata: %b\n\n" % (name, data))


def _message_start(message: Json) -> Json:
    opening = {**message, "content": []}
    opening |= {field: None for field in TOLD_AT_THE_END if field in message}
    usage = message.get("usage") or {}
    if "output_tokens" in usage:
        opening["usage"] = {**usage, "output_tokens": 0}
    return {"type": "message_start", "message": opening}


def _message_delta(message: Json) -> Json:
    usage = message.get("usage") or {}
    return {
        "type": "message_delta",
        "delta": {field: message[field] for field in TOLD_AT_THE_END if field in message},
        "usage": {field: usage[field] for field in COUNTED_AT_THE_END if usage.get(field) is not None},
    }


def _spelled(block: Json) -> tuple[Json, list[Json]]:
    """A block as it starts, and the deltas that make it whole. Blocks that no delta builds start whole."""
    match block["type"]:
        case "text":
            citations = block.get("citations")
            deltas: list[Json] = [{"type": "text_delta", "text": block["text"]}] if block["text"] else []
            deltas += [{"type": "citations_delta", "citation": citation} for citation in citations or ()]
            return {**block, "text": ""} | ({"citations": []} if citations else {}), deltas
        case "thinking":
            fields = [field for field in ("thinking", "signature") if block.get(field)]
            deltas = [{"type": f"{field}_delta", field: block[field]} for field in fields]
            return block | dict.fromkeys(fields, ""), deltas
        case _ if block.get("input") not in (None, {}):
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": input_text(block["input"])}]
        case _:
            return block, []
