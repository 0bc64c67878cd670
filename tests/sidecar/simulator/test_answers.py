"""What an unscripted request gets, and how limits end an answer."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.simulator.answers import Answer, Failure, Text, Thinking, ToolCall, refusal, step_from_json
from sidecar.simulator.composing import compose
from sidecar.simulator.instances import instance_of
from sidecar.simulator.models import find
from sidecar.simulator.simulator import Simulator

READ = {"name": "read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
WRITE = {"name": "write", "input_schema": {"type": "object"}}


async def test_the_same_question_always_gets_the_same_words(ask: Any) -> None:
    first, second = (await ask(messages="why?")).json, (await ask(messages="why?")).json
    assert first["content"] == second["content"]
    assert first["id"] != second["id"]


async def test_a_text_may_ask_for_tool_calls(ask: Any) -> None:
    words = 'Please\ncall read {"path": "a.py"}\ncall write {"text": "{}"}\ncall unknown {}'
    answer = (await ask(messages=words, tools=[READ, WRITE])).json
    assert [(block["name"], block["input"]) for block in answer["content"]] == [
        ("read", {"path": "a.py"}),
        ("write", {"text": "{}"}),
    ]
    assert answer["stop_reason"] == "tool_use"
    assert len({block["id"] for block in answer["content"]}) == 2


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "auto", "disable_parallel_tool_use": True}, ["read"]),
        ({"type": "none"}, []),
        ({"type": "tool", "name": "write"}, ["write"]),
        ({"type": "any"}, ["read", "write"]),
    ],
)
async def test_the_tool_choice_is_kept(ask: Any, choice: dict[str, Any], called: list[str]) -> None:
    words = "call read {}\ncall write {}"
    answer = (await ask(messages=words, tools=[READ, WRITE], tool_choice=choice, model="claude-opus-5")).json
    assert [block["name"] for block in answer["content"] if block["type"] == "tool_use"] == called


async def test_a_forced_tool_is_called_even_if_nobody_asked(ask: Any) -> None:
    answer = (await ask(tools=[READ], tool_choice={"type": "any"}, model="claude-opus-5")).json
    [call] = answer["content"]
    jsonschema.validate(call["input"], READ["input_schema"])


async def test_tool_results_are_answered(ask: Any) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "file contents"}
    messages = [
        {"role": "user", "content": "call read {}"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    answer = (await ask(messages=messages, tools=[READ])).json
    assert "file contents" in answer["content"][0]["text"]
    assert answer["stop_reason"] == "end_turn"


async def test_thinking_that_is_asked_for_comes_first_and_may_be_hidden(ask: Any) -> None:
    shown = (await ask(thinking={"type": "adaptive", "display": "summarized"})).json
    assert [block["type"] for block in shown["content"]] == ["thinking", "text"]
    assert shown["content"][0]["thinking"]
    hidden = (await ask(thinking={"type": "adaptive", "display": "omitted"})).json
    assert hidden["content"][0]["thinking"] == ""
    assert hidden["content"][0]["signature"]
    by_default = [
        (await ask(thinking={"type": "adaptive"}, model=m)).json for m in ("claude-opus-5-5", "claude-opus-4-6")
    ]
    assert [bool(answer["content"][0]["thinking"]) for answer in by_default] == [False, True]
    counted = [answer["usage"]["output_tokens_details"]["thinking_tokens"] for answer in (shown, hidden)]
    assert counted[0] == counted[1] > 0


async def test_a_prefill_is_continued(ask: Any) -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Sure,"}]
    answer = (await ask(messages=messages, model="claude-haiku-4-5")).json
    assert answer["content"][0]["text"].startswith(" ")


TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
    "required": ["name", "children"],
    "additionalProperties": False,
}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
    {"$ref": "#/$defs/tree", "$defs": {"tree": TREE}},
    {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
    {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1},
    {"type": ["string", "null"]},
    {"allOf": [TREE, {"$ref": "#/$defs/tree"}], "$defs": {"tree": TREE}},
    {"const": 3},
    {"type": "number", "multipleOf": 5, "minimum": 7},
    {"type": "string", "minLength": 12},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_an_instance_conforms_to_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(instance_of(schema), schema)


async def test_structured_output_conforms_to_the_schema(ask: Any) -> None:
    wanted = {"type": "json_schema", "schema": SCHEMAS[0]}
    answer = (await ask(output_config={"format": wanted})).json
    jsonschema.validate(json.loads(answer["content"][0]["text"]), SCHEMAS[0])


async def test_max_tokens_cuts_text(ask: Any, simulator: Simulator) -> None:
    simulator.script("x" * 2_700)
    answer = (await ask(max_tokens=100)).json
    assert answer["stop_reason"] == "max_tokens"
    assert answer["content"] == [{"type": "text", "text": "x" * 270}]
    assert answer["usage"]["output_tokens"] == 100


async def test_thinking_counts_against_max_tokens(ask: Any, simulator: Simulator) -> None:
    simulator.script(
        Answer((Thinking("", tokens=60), Text("x" * 2_700))), Answer((Thinking("", tokens=101), Text("x")))
    )
    some = (await ask(max_tokens=100)).json
    assert some["content"][1]["text"] == "x" * 108
    none = (await ask(max_tokens=100)).json
    assert none["content"] == []
    assert none["usage"]["output_tokens"] == none["usage"]["output_tokens_details"]["thinking_tokens"] == 100


async def test_max_tokens_inside_a_tool_call_leaves_half_of_its_input(ask: Any, simulator: Simulator) -> None:
    call = ToolCall("write", {"text": "x" * 1_000})
    simulator.script(Answer(call), Answer(call))
    assert (await ask(max_tokens=100)).json["content"][0]["input"] == {}
    events = (await ask(max_tokens=100, stream=True)).events
    begun = "".join(
        event["delta"].get("partial_json", "") for event in events if event["type"] == "content_block_delta"
    )
    assert begun.startswith('{"text": "xxx')
    assert not begun.endswith("}")
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


async def test_stop_sequences_end_the_answer_at_the_first(ask: Any, simulator: Simulator) -> None:
    simulator.script(Answer((Text("one STOP two END three"), ToolCall("read"))))
    answer = (await ask(stop_sequences=["END", "STOP"])).json
    assert answer["content"] == [{"type": "text", "text": "one "}]
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "STOP")


@pytest.mark.parametrize("reason", ["pause_turn", "model_context_window_exceeded", "end_turn", "max_tokens"])
async def test_every_ending_can_be_scripted(ask: Any, simulator: Simulator, reason: Any) -> None:
    simulator.script(Answer("x", stop_reason=reason))
    assert (await ask()).json["stop_reason"] == reason


async def test_a_refusal_carries_its_details(ask: Any, simulator: Simulator) -> None:
    simulator.script(refusal("bio"))
    answer = (await ask()).json
    assert answer["content"] == []
    assert answer["stop_details"]["category"] == "bio"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 429, 500, 504, 529])
async def test_every_status_can_be_scripted(ask: Any, simulator: Simulator, status: int) -> None:
    simulator.script(Failure(status, retry_after=1.5))
    reply = await ask()
    assert reply.status == status
    assert reply.headers["retry-after"] == "1.5"
    assert reply.json["type"] == "error"
    assert (await ask()).status == 200


async def test_rules_come_before_the_queue_and_may_run_out(ask: Any, simulator: Simulator) -> None:
    simulator.script("queued")
    simulator.when("title", "a title", times=1)
    simulator.when(lambda request: request["model"] == "claude-haiku-5-5", "small")
    said = [
        (await ask(messages="a title please")).json["content"][0]["text"],
        (await ask(messages="a title please")).json["content"][0]["text"],
        (await ask(model="claude-haiku-5-5")).json["content"][0]["text"],
    ]
    assert said == ["a title", "queued", "small"]


def test_a_step_from_json_is_the_step_it_says() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "name": "read", "input": {"path": "a"}},
    ]
    step = step_from_json({"answer": {"content": blocks, "stop_reason": "end_turn"}})
    assert step == Answer((Thinking("hm"), blocks[1], ToolCall("read", {"path": "a"})), stop_reason="end_turn")
    assert step_from_json({"failure": {"status": 429, "retry_after": 3}}) == Failure(429, retry_after=3)
    with pytest.raises(ValueError, match="Answer has no colour"):
        step_from_json({"answer": {"colour": "red"}})


@given(
    st.lists(st.text(alphabet="ab ", min_size=1), max_size=5), st.integers(1, 60), st.text("ab", min_size=1, max_size=2)
)
def test_an_answer_is_never_longer_than_max_tokens_and_never_holds_a_stop_sequence(
    texts: list[str], limit: int, stop: str
) -> None:
    model = find("claude-opus-5-5")
    assert model is not None
    request = {"model": model.id, "max_tokens": limit, "messages": [], "stop_sequences": [stop]}
    message = compose(request, Answer(tuple(map(Text, texts))), model, "msg_1")
    assert message.output_tokens <= limit
    assert all(stop not in block["text"] for block in message.blocks)
