"""Events of Claude's stream, one by one, as they come off the wire."""

from __future__ import annotations

from typing import Any

import orjson

from sidecar.sse import ServerSentEvent


def sse(name: str, **fields: Any) -> ServerSentEvent:
    data = orjson.dumps({"type": name, **fields})
    return ServerSentEvent(name.encode(), data, b"event: %b\ndata: %b\n\n" % (name.encode(), data))


def block_start(kind: str, index: int = 0) -> ServerSentEvent:
    body = {"text": ""} if kind == "text" else {"id": "toolu_1", "name": "write_file", "input": {}}
    return sse("content_block_start", index=index, content_block={"type": kind, **body})


def text_delta(text: str, index: int = 0) -> ServerSentEvent:
    return sse("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def arguments_delta(piece: str, index: int = 0) -> ServerSentEvent:
    """A piece of a tool call's JSON."""
    return sse("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece})


def block_stop(index: int = 0) -> ServerSentEvent:
    return sse("content_block_stop", index=index)
