"""What the gateway itself reads of Claude's answer while it passes: counters, the end, and who it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import orjson

from sidecar.dialects.anthropic_messages import error_in
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json
from sidecar.fold import MessageFold
from sidecar.sse import ServerSentEvent

MISSHAPEN: Final = "Claude's answer makes no sense: something in it is not what its type says."

COUNTED: Final = frozenset({b"message_start", b"message_delta", b"message_stop"})
"""Events the gateway reads whatever the dialect; the rest only passes, but for the size of what is in a delta."""


def count(exchange: Exchange, event: ServerSentEvent) -> bool:
    """Take usage and stop reason from one event; True at the end of the message."""
    if event.name == b"message_stop":
        return True
    wire = parse(event)
    with well_formed():
        message = wire.get("message") or wire.get("delta") or {}
        exchange.usage.update(wire.get("usage") or message.get("usage"))
        exchange.stop_reason = message.get("stop_reason") or exchange.stop_reason
        _identify(exchange, message)
    return False


def fold(folding: MessageFold, events: Iterable[ServerSentEvent]) -> None:
    with well_formed():
        for event in events:
            if event.data:  # not a comment
                folding.feed(parse(event))


@contextmanager
def well_formed() -> Iterator[None]:
    """What is missing in Claude's answer, or of another kind than it must be, becomes a GatewayError."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise GatewayError("api_error", MISSHAPEN, status=502, code="upstream_broken") from error


def parse(event: ServerSentEvent) -> Json:
    wire = json_object(event.data)
    if wire is None:
        raise GatewayError(
            "api_error",
            "Claude's answer makes no sense: an event in it is no JSON object.",
            status=502,
            code="upstream_broken",
        )
    return wire


def read_answer(exchange: Exchange, body: bytes) -> None:
    """Take all that an answer in one piece says. Raises GatewayError for one that is no JSON object, or an error under
    a status that says otherwise."""
    message = json_object(body)
    if message is None:
        raise GatewayError(
            "api_error", "Claude's address did not answer in JSON: is ANTHROPIC_BASE_URL right?", status=502
        )
    if message.get("type") == "error":
        raise error_in(body)
    if exchange.kind == "generate":
        with well_formed():
            exchange.answer = message
            exchange.usage.update(message.get("usage"))
            exchange.stop_reason = message.get("stop_reason")
            _identify(exchange, message)


def json_object(body: bytes) -> Json | None:
    try:
        wire = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return wire if isinstance(wire, dict) else None


def _identify(exchange: Exchange, message: Json) -> None:
    exchange.message_id = message.get("id") or exchange.message_id
    exchange.cache_miss = (message.get("diagnostics") or {}).get("cache_miss_reason") or exchange.cache_miss
