"""Thinking that comes back must be genuine, in its own conversation, and whole."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.simulator.answers import Answer, RedactedThinking, Text, Thinking, ToolCall
from sidecar.simulator.signatures import Provenance, read, sign, verify
from sidecar.simulator.simulator import Simulator

TOOL = {"name": "read", "input_schema": {"type": "object"}}
BOUND = "is bound to a different conversation"
UNMODIFIED = "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified."
ADAPTIVE: dict[str, Any] = {"model": "claude-opus-5-5", "thinking": {"type": "adaptive"}}


@pytest.fixture
def tool_turn(ask: Any, simulator: Simulator) -> Any:
    """Asks once and returns the request that answers the tool call, thinking given back as it came."""

    async def first(*parts: Any, **fields: Any) -> dict[str, Any]:
        simulator.script(Answer((*parts, ToolCall("read", {"path": "a"}))))
        asked: dict[str, Any] = {**ADAPTIVE, "system": "be brief", "tools": [TOOL], "messages": "go", **fields}
        answer = (await ask(**asked)).json
        call = answer["content"][-1]["id"]
        result = {"type": "tool_result", "tool_use_id": call, "content": "done"}
        messages = [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": [result]},
        ]
        return {**asked, "messages": messages}

    return first


async def test_thinking_given_back_unchanged_is_taken(ask: Any, tool_turn: Any) -> None:
    request = await tool_turn(Thinking("hm"), Thinking(""), RedactedThinking(), Text("I read it."))
    assert (await ask(**request)).status == 200


async def test_thinking_left_out_altogether_is_taken(ask: Any, tool_turn: Any) -> None:
    request = await tool_turn(Thinking("hm"))
    del request["messages"][1]["content"][0]
    assert (await ask(**request)).status == 200


class TestAClaudeThatDemandsThinking:
    @pytest.fixture
    def simulator(self) -> Simulator:
        return Simulator(demands_thinking=True)

    async def test_wants_it_with_the_calls_that_it_led_to(self, ask: Any, tool_turn: Any) -> None:
        request = await tool_turn(Thinking("hm"))
        without = copy.deepcopy(request)
        del without["messages"][1]["content"][0]
        assert "Expected `thinking`" in (await ask(**without)).refusal
        assert (await ask(**request)).status == 200

    async def test_wants_none_of_another_model_and_none_that_never_was(self, ask: Any, tool_turn: Any) -> None:
        request = await tool_turn(Thinking("hm"))
        del request["messages"][1]["content"][0]
        assert (await ask(**{**request, "model": "claude-sonnet-5-5"})).status == 200
        assert (await ask(**await tool_turn(Text("I read it.")))).status == 200


async def test_edited_thinking_has_an_invalid_signature(ask: Any, tool_turn: Any) -> None:
    request = await tool_turn(Thinking("hm"))
    request["messages"][1]["content"][0]["thinking"] = "ha"
    assert (await ask(**request)).refusal == "messages.1.content.0: Invalid `signature` in `thinking` block"


async def test_a_made_up_signature_is_refused(ask: Any, tool_turn: Any) -> None:
    request = await tool_turn(RedactedThinking())
    request["messages"][1]["content"][0]["data"] = "bm90IG91cnM="
    assert (await ask(**request)).refusal == "messages.1.content.0: Invalid `data` in `redacted_thinking` block"


def change_system(request: dict[str, Any]) -> None:
    request["system"] = "be verbose"


def change_tools(request: dict[str, Any]) -> None:
    request["tools"] = [TOOL | {"description": "Reads."}]


def change_first_message(request: dict[str, Any]) -> None:
    request["messages"][0]["content"] = "go on"


def add_a_message(request: dict[str, Any]) -> None:
    request["messages"].insert(0, {"role": "user", "content": "context"})


@pytest.mark.parametrize("change", [change_system, change_tools, change_first_message, add_a_message])
@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2"])
async def test_a_change_before_thinking_is_refused_by_models_that_bind_it(
    ask: Any, tool_turn: Any, change: Any, model: str
) -> None:
    request = await tool_turn(Thinking("hm"), model=model)
    change(request)
    assert BOUND in (await ask(**request)).refusal


@pytest.mark.parametrize("change", [change_system, change_tools, change_first_message])
async def test_older_models_take_thinking_after_a_change(ask: Any, tool_turn: Any, change: Any) -> None:
    request = await tool_turn(Thinking("hm"), model="claude-opus-5")
    change(request)
    assert (await ask(**request)).status == 200


def mark_for_caching(request: dict[str, Any]) -> None:
    request["system"] = [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]
    request["tools"] = [TOOL | {"cache_control": {"type": "ephemeral"}}]


def write_text_as_blocks(request: dict[str, Any]) -> None:
    request["messages"][0]["content"] = [{"type": "text", "text": "go", "cache_control": None}]


def split_the_turn(request: dict[str, Any]) -> None:
    result = request["messages"][2]["content"]
    request["messages"][2:] = [
        {"role": "user", "content": result},
        {"role": "user", "content": "and say what you found"},
    ]


@pytest.mark.parametrize("change", [mark_for_caching, write_text_as_blocks, split_the_turn])
async def test_what_means_the_same_does_not_unbind(ask: Any, tool_turn: Any, change: Any) -> None:
    request = await tool_turn(Thinking("hm"))
    change(request)
    assert (await ask(**request)).status == 200


async def test_dropping_the_oldest_thinking_is_fine(ask: Any, tool_turn: Any, simulator: Simulator) -> None:
    request = await tool_turn(Thinking("hm"))
    simulator.script(Answer((Thinking("so"), Text("Done."))))
    answer = (await ask(**request)).json
    request["messages"] += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": "thanks"}]
    assert (await ask(**request)).status == 200
    del request["messages"][1]["content"][0]
    assert (await ask(**request)).status == 200


def drop_one_of_two(content: list[dict[str, Any]]) -> None:
    del content[1]


def swap(content: list[dict[str, Any]]) -> None:
    content[0], content[1] = content[1], content[0]


def edit_text(content: list[dict[str, Any]]) -> None:
    content[2]["text"] = "I read it"


def edit_input(content: list[dict[str, Any]]) -> None:
    content[3]["input"] = {"path": "b"}


@pytest.mark.parametrize("change", [drop_one_of_two, swap, edit_text, edit_input])
async def test_the_latest_assistant_turn_comes_back_whole_or_without_thinking(
    ask: Any, tool_turn: Any, change: Any
) -> None:
    request = await tool_turn(Thinking("hm"), Thinking("ah"), Text("I read it."))
    change(request["messages"][1]["content"])
    refusal = (await ask(**request)).refusal
    assert UNMODIFIED in refusal or BOUND in refusal


async def test_another_models_thinking_is_dropped_without_an_error(ask: Any, tool_turn: Any) -> None:
    request = await tool_turn(Thinking("x" * 2_700), max_tokens=10_000)
    own = (await ask(**copy.deepcopy(request))).usage["input_tokens"]
    request["model"] = "claude-fable-5-2"
    assert (await ask(**request)).usage["input_tokens"] == own - 1_000


async def test_thinking_counts_as_input_by_what_was_thought_not_by_what_is_shown(ask: Any, tool_turn: Any) -> None:
    request = await tool_turn(Thinking("", tokens=5_000), max_tokens=10_000)
    with_thinking = (await ask(**copy.deepcopy(request))).usage["input_tokens"]
    del request["messages"][1]["content"][0]
    assert (await ask(**request)).usage["input_tokens"] == with_thinking - 5_000


async def test_manual_thinking_demands_its_block_in_a_tool_loop(ask: Any, tool_turn: Any) -> None:
    manual = {"type": "enabled", "budget_tokens": 1024}
    request = await tool_turn(Thinking("hm"), model="claude-haiku-4-5", thinking=manual, max_tokens=4000)
    assert (await ask(**copy.deepcopy(request))).status == 200
    del request["messages"][1]["content"][0]
    refusal = (await ask(**request)).refusal
    assert refusal.startswith(
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`"
    )


@given(st.text(), st.integers(0, 2**32 - 1), st.integers(0, 100), st.binary(min_size=16, max_size=16))
def test_a_signature_always_verifies_its_own_text_and_never_another(
    text: str, tokens: int, place: int, prefix: bytes
) -> None:
    provenance = Provenance(tokens, place, b"m" * 8, prefix, b"r" * 12)
    signature = sign(text, provenance)
    assert verify(text, signature) == read(signature) == provenance
    assert verify(text + "x", signature) is None


@given(st.text())
def test_reading_a_foreign_signature_never_fails(signature: str) -> None:
    assert read(signature) is None
