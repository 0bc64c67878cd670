"""Refusals that another form of the same request would not meet: what is changed before it is sent once more."""

from __future__ import annotations

from typing import Final

from sidecar.conversation import THINKING
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json
from sidecar.fit.thinking import LACKING, lacks_thinking
from sidecar.prompt import THINKING_MEMORY

BOUND_ELSEWHERE: Final = "bound to a different conversation"
"""Anthropic's words for signed thinking whose prefix changed. Leaving all thinking out is accepted."""

NOT_GENUINE: Final = (
    "Invalid `signature` in `thinking`",
    "Invalid `data` in `redacted_thinking`",
    "in the latest assistant message cannot be modified",
)
"""Its words for thinking that is not what it was. What a client sends back by itself is the client's to mend."""

LEFT_OUT: Final = "Expected `thinking` or `redacted_thinking`"
"""Its words for a run of tool calls that does not begin with its thinking, where there is a budget for more."""


def second_chance(exchange: Exchange, error: GatewayError) -> bool:
    """Whether the exchange's request was changed so that it is worth sending once more."""
    if error.status != 400:
        return False
    if BOUND_ELSEWHERE in error.message or (_puts_back(exchange) and any(why in error.message for why in NOT_GENUINE)):
        return _without_thinking(exchange)
    if LEFT_OUT in error.message and exchange.dialect != "anthropic_messages" and "thinking" in exchange.request:
        exchange.request = _but(exchange.request, "thinking")
        exchange.edited = True
        exchange.note("thinking", "dropped", LACKING)
        return True
    if "diagnostics" in error.message and "diagnostics" in exchange.request:
        exchange.request = _but(exchange.request, "diagnostics")
        exchange.edited = True
        return True
    return False


def _puts_back(exchange: Exchange) -> bool:
    return exchange.prompt is not None and exchange.prompt.puts_back


def _without_thinking(exchange: Exchange) -> bool:
    messages = [kept for message in exchange.request["messages"] if (kept := _thoughtless(message)) is not None]
    if messages == exchange.request["messages"]:
        return False
    request = {**exchange.request, "messages": messages}
    if (request.get("thinking") or {}).get("type") == "enabled" and lacks_thinking(messages):
        request = _but(request, "thinking")
    exchange.request = request
    exchange.edited = True
    if _puts_back(exchange):
        exchange.decide(THINKING_MEMORY, "off from now on: Claude refused thinking that was put back")
    else:
        exchange.note("messages", "changed", "signed thinking of another conversation, left out")
    if exchange.prompt is not None:
        exchange.prompt.leave_out_thinking()
    return True


def _but(request: Json, left_out: str) -> Json:
    return {name: value for name, value in request.items() if name != left_out}


def _thoughtless(message: Json) -> Json | None:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    kept = [block for block in content if block.get("type") not in THINKING]
    if len(kept) == len(content):
        return message
    return {**message, "content": kept} if kept else None
