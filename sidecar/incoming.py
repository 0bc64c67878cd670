"""What the gateway itself reads of Claude's answer while it passes: counters, the end, and who it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import orjson

from sidecar.dialects.anthropic_messages import error_in, plain_events
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json
from sidecar.fold import MessageFold
from sidecar.sse import Events, ServerSentEvent

MISSHAPEN: Final = (LookupError, TypeError, AttributeError, ValueError)
"""What is raised where something is missing in Claude's answer, or of another kind than it must be."""

COUNTED: Final = frozenset({b"message_start", b"message_delta", b"message_stop"})
"""Events the gateway reads whatever the dialect; the rest only passes, but for the size of what is in a delta."""

_BLOCK_AND_KIND: Final = itemgetter(0, 1)


def count(exchange: Exchange, event: ServerSentEvent) -> bool:
    """Take usage and stop reason from one event; True at the end of the message."""
    if event.name == b"message_stop":
        return True
    wire = parse(event)
    try:
        message = wire.get("message") or wire.get("delta") or {}
        exchange.usage.update(wire.get("usage") or message.get("usage"))
        exchange.stop_reason = message.get("stop_reason") or exchange.stop_reason
        _identify(exchange, message)
    except MISSHAPEN as error:
        raise _misshapen() from error
    return False


def fold(folding: MessageFold, events: Sequence[ServerSentEvent]) -> None:
    """The message shares nothing with the events: who gets it may write into it. Raises GatewayError for what makes no
    sense."""
    plain = plain_events(events.raw) if isinstance(events, Events) else None
    try:
        if plain is None:
            for event in events:
                if event.data:  # not a comment
                    folding.feed(_object(json_object(event.data)))
        else:
            _fold_plain(folding, plain)
    except MISSHAPEN as error:
        raise _misshapen() from error


def _fold_plain(folding: MessageFold, plain: Iterable[tuple[bytes, bytes, bytes, bytes]]) -> None:
    """The texts of a row of deltas of one block and kind are one JSON string, parsed at once."""
    for (index, kind), row in groupby(plain, key=_BLOCK_AND_KIND):
        if kind:
            text = b'"%b"' % b"".join([text[1:-1] for _, _, text, _ in row])
            folding.spell(int(index), kind.partition(b'"')[0].decode(), orjson.loads(text))
        else:
            for _, _, _, data in row:
                folding.feed(_object(json_object(data)))


def parse(event: ServerSentEvent) -> Json:
    """As `wire`. Raises GatewayError for what is no JSON object."""
    try:
        wire = event.wire
    except ValueError:
        wire = None
    return _object(wire)


def _object(wire: object) -> Json:
    if not isinstance(wire, dict):
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
        try:
            exchange.answer = message
            exchange.usage.update(message.get("usage"))
            exchange.stop_reason = message.get("stop_reason")
            _identify(exchange, message)
        except MISSHAPEN as error:
            raise _misshapen() from error


def json_object(body: bytes) -> Json | None:
    try:
        wire = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return wire if isinstance(wire, dict) else None


def _identify(exchange: Exchange, message: Json) -> None:
    exchange.message_id = message.get("id") or exchange.message_id
    exchange.cache_miss = (message.get("diagnostics") or {}).get("cache_miss_reason") or exchange.cache_miss


def _misshapen() -> GatewayError:
    return GatewayError(
        "api_error",
        "Claude's answer makes no sense: something in it is not what its type says.",
        status=502,
        code="upstream_broken",
    )
