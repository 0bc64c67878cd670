"""What is sent once more after a refusal, and in which form."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.conversation import positions_of
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json
from sidecar.prompt import Prompt
from sidecar.second_chance import second_chance
from tests.support.exchanges import an_exchange
from tests.support.talks import assistant, call, result, user

THOUGHT: Json = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
BUDGET: Json = {"type": "enabled", "budget_tokens": 2_000}
HISTORY = [user("task"), assistant(call("t1")), user(result("t1", "done"))]

BOUND = "messages.1.content.0: `thinking` block is bound to a different conversation: the tools, ..."
SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"
REDACTED = "messages.1.content.0: Invalid `data` in `redacted_thinking` block"
MODIFIED = (
    "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified."
)
LEFT_OUT = "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When ..."


def exchange_of(messages: list[Any], *, puts_back: bool, **fields: Any) -> Exchange:
    request = {"model": "claude-opus-5-5", "messages": messages, **fields.pop("request", {})}
    positions = positions_of(request)
    assert positions is not None
    prompt = Prompt("web", positions)
    if puts_back:
        prompt.put_back(1, [THOUGHT], 20)
        request = prompt.assemble(request, takes_mid_system=True)
    return an_exchange(request=request, prompt=prompt, **fields)


def refused(exchange: Exchange, message: str, status: int = 400) -> bool:
    return second_chance(exchange, GatewayError("invalid_request_error", message, status=status))


@pytest.mark.parametrize("message", [BOUND, SIGNATURE, REDACTED, MODIFIED])
def test_thinking_that_was_put_back_is_left_out_when_it_is_refused(message: str) -> None:
    exchange = exchange_of(HISTORY, puts_back=True)
    assert exchange.request["messages"][1]["content"][0] == THOUGHT
    assert refused(exchange, message)
    assert exchange.request["messages"] == HISTORY
    assert exchange.prompt is not None
    assert exchange.prompt.thinking_refused
    assert [str(one) for one in exchange.decisions] == [
        "thinking_memory: off from now on: Claude refused thinking that was put back"
    ]
    assert not refused(exchange, message), "once is enough"


@pytest.mark.parametrize(
    ("message", "again"), [(BOUND, True), (SIGNATURE, False), (REDACTED, False), (MODIFIED, False)]
)
def test_thinking_of_the_clients_own_is_its_own_but_where_its_conversation_changed(message: str, again: bool) -> None:
    own = [user("task"), assistant(THOUGHT, call("t1")), user(result("t1", "done"))]
    exchange = exchange_of(own, puts_back=False)
    assert refused(exchange, message) is again
    assert exchange.request["messages"] == (HISTORY if again else own)
    assert exchange.prompt is not None
    assert not exchange.prompt.thinking_refused


def test_a_run_of_calls_without_its_thinking_goes_on_without_a_budget() -> None:
    exchange = exchange_of(HISTORY, puts_back=True, request={"thinking": BUDGET})
    assert refused(exchange, SIGNATURE)
    assert "thinking" not in exchange.request


@pytest.mark.parametrize(("dialect", "again"), [("openai_chat", True), ("anthropic_messages", False)])
def test_a_budget_that_wants_thinking_nobody_has_is_dropped_where_the_client_has_no_place_for_it(
    dialect: str, again: bool
) -> None:
    exchange = exchange_of(HISTORY, puts_back=False, request={"thinking": BUDGET}, dialect=dialect)
    assert refused(exchange, LEFT_OUT) is again
    assert ("thinking" in exchange.request) is not again
    assert [note.action for note in exchange.notes] == (["dropped"] if again else [])


def test_other_refusals_stand() -> None:
    exchange = exchange_of(HISTORY, puts_back=True)
    assert not refused(exchange, "max_tokens: too large")
    assert not refused(exchange, BOUND, status=529)
