"""Refusals that another form of the same request would not meet: what is changed before it is sent once more."""

from __future__ import annotations

from sidecar.conversation import THINKING
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json

BOUND_ELSEWHERE = "bound to a different conversation"
"""Anthropic's words for signed thinking whose prefix changed. Leaving all thinking out is accepted."""


def second_chance(exchange: Exchange, error: GatewayError) -> bool:
    """Whether the exchange's request was changed so that it is worth sending once more."""
    if error.status != 400:
        return False
    if BOUND_ELSEWHERE in error.message:
        return _without_thinking(exchange)
    if "diagnostics" in error.message and "diagnostics" in exchange.request:
        exchange.request = {name: value for name, value in exchange.request.items() if name != "diagnostics"}
        exchange.edited = True
        return True
    return False


def _without_thinking(exchange: Exchange) -> bool:
    messages = [kept for message in exchange.request["messages"] if (kept := _thoughtless(message)) is not None]
    if messages == exchange.request["messages"]:
        return False
    exchange.request = {**exchange.request, "messages": messages}
    exchange.edited = True
    exchange.note("messages", "changed", "signed thinking of another conversation, left out")
    if exchange.prompt is not None:
        exchange.prompt.leave_out_thinking()
    return True


def _thoughtless(message: Json) -> Json | None:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    kept = [block for block in content if block.get("type") not in THINKING]
    if len(kept) == len(content):
        return message
    return {**message, "content": kept} if kept else None
