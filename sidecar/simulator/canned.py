"""One fixed answer, as fast as an ASGI application can give it: the upstream of benchmarks."""

from __future__ import annotations

import json

from starlette.types import Receive, Scope, Send

from sidecar.simulator.caching import Reading
from sidecar.simulator.composing import Message
from sidecar.simulator.wire import Terms, message_body, message_events

DELTAS = 100
_TEXT = "A canned answer. " * DELTAS
_MESSAGE = Message("msg_01canned", "claude-opus-5-5", [{"type": "text", "text": _TEXT}], "end_turn", None, None, 630, 0)
_TERMS = Terms(Reading(1_000, 0, 0, 0))


class CannedClaude:
    """Answers every request with the same message, streamed when the body asks for it. Nothing is checked or kept."""

    def __init__(self) -> None:
        self._body = json.dumps(message_body(_MESSAGE, _TERMS)).encode()
        delta_chars = len(_TEXT) // DELTAS
        self._events = [event.encode() for event in message_events(_MESSAGE, _TERMS, delta_chars=delta_chars)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        streaming = await _asks_for_stream(receive)
        kind = b"text/event-stream; charset=utf-8" if streaming else b"application/json"
        headers = [(b"content-type", kind), (b"request-id", b"req_01canned")]
        if not streaming:
            headers.append((b"content-length", str(len(self._body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if streaming:
            for event in self._events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"" if streaming else self._body, "more_body": False})


async def _asks_for_stream(receive: Receive) -> bool:
    """Looks for `"stream": true` in the body's bytes, at most one space in between."""
    streaming, tail, more = False, b"", True
    while more:
        message = await receive()
        piece = tail + message.get("body", b"")
        streaming = streaming or b'"stream":true' in piece or b'"stream": true' in piece
        tail, more = piece[-16:], message.get("more_body", False)
    return streaming
