"""Responses requests as Claude's: what becomes of each kind of item, and that only GatewayError is ever raised."""

import copy
import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects.openai_responses import Decoded, decode
from sidecar.dialects.openai_responses.items import NOT_FOR_CLAUDE
from sidecar.dialects.openai_responses.reasoning import sealed
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from tests.support.messages_requests import assert_claude_takes
from tests.support.thorough import examples

SHELL: Json = {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}, "strict": None}
HELLO: Json = {"role": "user", "content": "hello"}
THOUGHT: Json = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


def decoded(*items: Json, **body: Any) -> Decoded:
    result = decode({"model": "sonnet", "input": [*items], **body})
    assert_claude_takes({name: value for name, value in result.request.items() if name != "stream"})
    return result


def turns(result: Decoded) -> list[tuple[str, list[str]]]:
    return [(turn["role"], [block["type"] for block in turn["content"]]) for turn in result.request["messages"]]


def noted(result: Decoded) -> set[str]:
    return {f"{note.field}={note.action}" for note in result.notes}


def call(number: int, **fields: Any) -> Json:
    return {"type": "function_call", "call_id": f"call_{number}", "name": "shell", "arguments": "{}", **fields}


def output(number: int, **fields: Any) -> Json:
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": "ok", **fields}


def reasoning(*blocks: Json, **fields: Any) -> Json:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed(blocks), **fields}


def said(text: str) -> Json:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def test_what_codexs_agents_tell_each_other_is_said_as_far_as_it_can_be_read() -> None:
    parts = [
        {"type": "input_text", "text": "Look at main.py."},
        {"type": "encrypted_content", "encrypted_content": "x"},
    ]
    made = decoded({"type": "agent_message", "author": "root", "recipient": "scout", "content": parts})
    assert made.request["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Look at main.py."}]}]
    assert noted(made) == {"input[0].content=dropped"}


def test_a_string_is_a_message_of_the_user() -> None:
    assert decode({"model": "sonnet", "input": "hello"}).request["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hello"}]}
    ]


def test_a_loop_becomes_turns_with_the_thinking_in_front_of_what_it_led_to() -> None:
    result = decoded(
        HELLO, reasoning(THOUGHT), said("I look."), call(1), call(2), output(2), output(1), said("Done."), HELLO,
        tools=[SHELL],
    )  # fmt: skip
    assert turns(result) == [
        ("user", ["text"]),
        ("assistant", ["thinking", "text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result"]),
        ("assistant", ["text"]),
        ("user", ["text"]),
    ]
    assert result.request["messages"][1]["content"][0] == THOUGHT
    assert noted(result) == set()


def test_calls_of_one_answer_are_one_turn_also_where_each_result_stands_behind_its_call() -> None:
    first, second = "a" * 32, "b" * 32
    made = decoded(
        HELLO,
        reasoning(THOUGHT, id=f"rs_{first}0000"),
        call(1, id=f"fc_{first}0001"),
        output(1),
        call(2, id=f"fc_{first}0002"),
        output(2),
        call(3, id=f"fc_{second}0000"),
        output(3),
        call(4),
        output(4),
        call(5),
        output(5),
        tools=[SHELL],
    )
    assert turns(made) == [
        ("user", ["text"]),
        ("assistant", ["thinking", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result"]),
        *[("assistant", ["tool_use"]), ("user", ["tool_result"])] * 3,
    ]
    assert not made.notes


def test_what_the_user_says_ends_the_turn_of_an_answer() -> None:
    key = "a" * 32
    made = decoded(HELLO, call(1, id=f"fc_{key}0000"), output(1), HELLO, call(2, id=f"fc_{key}0001"), output(2))
    assert [role for role, _ in turns(made)] == ["user", "assistant", "user", "assistant", "user"]


def test_a_message_of_the_user_may_have_results_in_claudes_form() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "shell", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
    made = decoded(HELLO, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}, tools=[SHELL])
    assert turns(made) == [("user", ["text"]), ("assistant", ["tool_use"]), ("user", ["tool_result"])]
    assert not made.notes


def test_leading_system_text_is_hoisted_and_later_text_stays() -> None:
    result = decoded(
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "One."}]},
        HELLO,
        {"role": "system", "content": "Two."},
        instructions="Zero.",
    )
    assert [block["text"] for block in result.request["system"]] == ["Zero.", "One."]
    assert turns(result)[1] == ("system", ["text"])


@pytest.mark.parametrize(
    "content",
    ["gAAAAABopenai", "cgw1.!!!", "cgw1.e30=", sealed([{"type": "text", "text": "no"}]), sealed([THOUGHT])[:-9],
     sealed([{**THOUGHT, "signature": ""}])],
)  # fmt: skip
def test_thinking_that_is_not_claudes_or_not_whole_is_left_out_and_said_so(content: str) -> None:
    result = decoded(HELLO, reasoning(encrypted_content=content), said("Hi."), HELLO)
    assert turns(result)[1] == ("assistant", ["text"])
    assert noted(result) == {"input[1].encrypted_content=dropped"}


def test_thinking_without_what_it_led_to_is_left_out() -> None:
    result = decoded(HELLO, reasoning(THOUGHT), HELLO)
    assert turns(result) == [("user", ["text", "text"])]
    assert noted(result) == {"input[1]=dropped"}


def test_reasoning_without_encrypted_content_has_nothing_for_claude() -> None:
    result = decoded(HELLO, {"type": "reasoning", "id": "rs_1", "summary": []}, said("Hi."), HELLO)
    assert noted(result) == set()


@pytest.mark.parametrize("kind", NOT_FOR_CLAUDE)
def test_items_that_claude_has_nothing_for_are_reported(kind: str) -> None:
    result = decoded(HELLO, {"type": kind, "id": "x_1"})
    assert noted(result) == {"input[1]=dropped"}


def test_tools_of_a_group_have_its_name_in_front_in_both_directions() -> None:
    group = {"type": "namespace", "name": "mcp__git", "description": "Git.", "tools": [SHELL | {"name": "log"}]}
    result = decoded(HELLO, call(1, namespace="mcp__git", name="log"), output(1), tools=[group])
    assert [tool["name"] for tool in result.request["tools"]] == ["mcp__git__log"]
    assert result.request["messages"][1]["content"][0]["name"] == "mcp__git__log"
    assert result.namespaces == {"mcp__git__log": ("mcp__git", "log")}


def test_tools_that_the_input_brings_are_tools() -> None:
    result = decoded(HELLO, {"type": "additional_tools", "role": "developer", "tools": [SHELL]})
    assert [tool["name"] for tool in result.request["tools"]] == ["shell"]


@pytest.mark.parametrize("kind", ["local_shell", "shell", "apply_patch"])
def test_openais_own_client_tools_are_tools(kind: str) -> None:
    result = decoded(HELLO, tools=[{"type": kind}], tool_choice={"type": kind})
    assert result.request["tools"][0]["name"] == kind
    assert result.request["tool_choice"] == {"type": "tool", "name": kind}


def test_calls_of_openais_own_client_tools_come_back_with_their_arguments() -> None:
    patch = {"type": "create_file", "path": "a.txt", "diff": "+hi"}
    result = decoded(
        HELLO,
        {"type": "apply_patch_call", "id": "apc_1", "call_id": "c1", "status": "completed", "operation": patch},
        {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": "no such folder"},
        {"type": "shell_call", "call_id": "c2", "action": {"commands": ["ls"]}, "status": "completed"},
        {"type": "shell_call_output", "call_id": "c2", "output": [{"stdout": "a", "stderr": "", "outcome": {}}]},
        tools=[{"type": "apply_patch"}, {"type": "shell"}],
    )
    _, first, answer, second, last = result.request["messages"]
    assert first["content"][0]["input"] == patch
    assert answer["content"][0]["is_error"] is True
    assert second["content"][0]["input"] == {"commands": ["ls"]}
    assert json.loads(last["content"][0]["content"])[0]["stdout"] == "a"


def test_the_form_of_the_answer_is_flat() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "thing", "schema": schema, "strict": True}
    assert decoded(HELLO, text={"format": form}).request["output_config"]["format"]["schema"]["properties"]


def test_a_web_search_can_be_chosen() -> None:
    result = decoded(HELLO, tools=[{"type": "web_search"}], tool_choice={"type": "web_search"})
    assert result.request["tool_choice"] == {"type": "tool", "name": "web_search"}


def test_a_summary_asks_for_visible_thinking() -> None:
    request = decoded(HELLO, reasoning={"effort": "high", "summary": "auto"}).request
    assert request["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert request["output_config"] == {"effort": "high"}


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = st.sampled_from(
    ["message", "user", "assistant", "developer", "reasoning", "function_call", "function_call_output", "shell",
     "custom_tool_call", "custom_tool_call_output", "local_shell_call", "shell_call_output", "apply_patch_call", "text",
     "input_text", "output_text", "input_image", "input_file", "refusal", "function", "custom", "namespace", "auto",
     "web_search", "item_reference", "additional_tools", "call_1", "call_2", "json_schema", "required", "exec",
     sealed([THOUGHT])],
)  # fmt: skip
KEYS = st.sampled_from(
    ["type", "role", "content", "id", "call_id", "name", "arguments", "input", "output", "text", "image_url",
     "file_data", "encrypted_content", "summary", "namespace", "action", "operation", "command", "commands", "tools",
     "parameters", "strict", "format", "schema", "status", "description", "refusal", "grammar", "syntax", "definition"],
)  # fmt: skip
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=5),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "include", "truncation",
     "store", "metadata", "previous_response_id", "max_output_tokens", "stream", "temperature", "user", "service_tier",
     "prompt", "background", "thinking", "max_tool_calls", "context_management"],
)  # fmt: skip


@settings(max_examples=examples(100), deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=4), VALUES)
def test_whatever_comes_is_decoded_or_refused(fields: dict[str, Any], value: Any) -> None:
    body = {"model": "sonnet", "input": value, **fields}
    before = copy.deepcopy(body)
    with suppress(GatewayError):
        result = decode(body)
        assert orjson.dumps(result.request) == orjson.dumps(decode(body).request)
        orjson.dumps(result.echo)
    assert body == before


@pytest.mark.parametrize("kind", [{}, [], 1, True, {"a": ["function_call"]}])
def test_a_type_that_is_no_word_is_refused(kind: Any) -> None:
    with pytest.raises(GatewayError, match=r"input\[1\].type: expected the type of an item"):
        decode({"model": "sonnet", "input": [HELLO, {"type": kind}]})


@st.composite
def loops(draw: st.DrawFn) -> list[list[Json]]:
    """Turns of a conversation as a client appends them: what Claude said, then what answers it."""
    number = 0
    rows: list[list[Json]] = [[{"role": "developer", "content": "Be brief."}, HELLO]]
    for _ in range(draw(st.integers(1, 5))):
        row: list[Json] = []
        if draw(st.booleans()):
            row.append(reasoning(draw(st.sampled_from([THOUGHT, {"type": "redacted_thinking", "data": "ZA=="}]))))
        calls = [call(number + index, arguments=draw(ARGUMENTS)) for index in range(draw(st.integers(0, 3)))]
        number += len(calls)
        if not calls or draw(st.booleans()):
            row.append(said(draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)) + "."))
        row += calls
        rows.append(row)
        results = [output(int(one["call_id"].removeprefix("call_"))) for one in calls]
        words = [] if results and draw(st.booleans()) else [{"role": "user", "content": "and?"}]
        rows.append(draw(st.permutations(results)) + words)
    return rows


ARGUMENTS = st.sampled_from(['{"command": ["ls"]}', '{"b":1,"a":2}', "{}", "", '{"n": 12345678901234567890123}'])


@settings(max_examples=examples(60), deadline=None)
@given(loops())
def test_a_conversation_that_grows_keeps_the_bytes_it_had(rows: list[list[Json]]) -> None:
    earlier: list[bytes] = []
    for end in range(1, len(rows) + 1, 2):  # requests end with what the client said
        items = [item for row in rows[:end] for item in row]
        result = decoded(*items, tools=[SHELL])
        now = [orjson.dumps([result.request["tools"], result.request["system"]])]
        now += [orjson.dumps([turn["role"], block]) for turn in result.request["messages"] for block in turn["content"]]
        assert now[: len(earlier)] == earlier
        earlier = now


MORE_TOOLS: Json = {"type": "additional_tools", "role": "developer", "tools": [{**SHELL, "name": "more"}]}
COMPACTED: Json = {"type": "compaction", "encrypted_content": "x"}
SEARCHED: Json = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
MARKED: Json = {"type": "input_text", "text": "keep this", "cache_control": {"type": "ephemeral"}}


@st.composite
def inputs(draw: st.DrawFn) -> list[Json]:
    """A long input of whatever may stand in one, also what nobody sends."""
    thoughts = st.just(reasoning(THOUGHT))
    rows = draw(loops()) + draw(loops())[1:]
    items = [item for row in rows for item in row]
    ids = st.sampled_from([f"fc_{letter * 32}00{number}{number}" for letter in "ab" for number in "12"])
    for at in draw(st.lists(st.integers(0, len(items) - 1), max_size=4)):
        if draw(st.booleans()):
            items[at] = items[at] | {"id": draw(ids)}
    odd = st.sampled_from(
        [MORE_TOOLS, SEARCHED, COMPACTED, said(""), output(77), call(0), {"role": "user", "content": [MARKED]}]
    )
    for at in draw(st.lists(st.integers(0, len(items)), max_size=3)):
        items.insert(at, draw(odd | thoughts))
    if draw(st.booleans()):  # calls of one answer, each with its result behind it
        parted = [[call(at, id=f"fc_{'c' * 32}00{at}"), output(at)] for at in range(90, 93)]
        at = draw(st.integers(0, len(items)))
        items[at:at] = [item for pair in parted for item in pair]
    return items


@settings(max_examples=examples(150), deadline=None)
@given(inputs(), st.data())
def test_going_on_from_an_earlier_request_gives_what_reading_all_gives(items: list[Json], data: st.DataObject) -> None:
    before, read = None, 0
    for length in data.draw(st.lists(st.integers(1, len(items)), min_size=1, max_size=6)):
        body = {"model": "sonnet", "input": items[:length], "tools": [SHELL], "instructions": "Be brief."}
        result = decode(body, (), before and before.resumption, min(read, length))
        assert result == decode(body)
        assert json.dumps(result.request) == json.dumps(decode(body).request)
        if before is not None:
            assert before == decode(body | {"input": items[:read]}), "an earlier request was written to"
            known = zip(before.request["messages"][: result.known], result.request["messages"], strict=False)
            assert all(one is other for one, other in known)
        before, read = result, length


@pytest.mark.parametrize(
    "more",
    [
        [COMPACTED, reasoning(THOUGHT), said(""), call(2)],
        [SEARCHED, call(2)],
        [output(1), MORE_TOOLS, call(2)],
        [output(1), SEARCHED, call(3), reasoning(THOUGHT), call(2), output(3)],
        [output(1), *[{"role": "user", "content": [MARKED]}] * 5, call(2)],
    ],
)
def test_wherever_an_earlier_request_ended_it_may_be_gone_on_from(more: list[Json]) -> None:
    items = [HELLO, call(1), *more, output(2), HELLO]
    for end in range(1, len(items)):
        before = decode({"model": "sonnet", "input": items[:end]})
        assert decode({"model": "sonnet", "input": items}, (), before.resumption, end) == decode(
            {"model": "sonnet", "input": items}
        )


def test_what_is_known_of_a_conversation_is_all_but_its_open_turn() -> None:
    def items(turns: int) -> list[Json]:
        loop = [[reasoning(THOUGHT), said("I look."), call(at), output(at)] for at in range(turns)]
        return [HELLO, *(item for turn in loop for item in turn)]

    before = decode({"model": "sonnet", "input": items(4)})
    assert decode({"model": "sonnet", "input": items(5)}, (), before.resumption, 17).known == 7


@settings(max_examples=40, deadline=None)
@given(loops())
def test_it_makes_no_difference_which_items_are_history(rows: list[list[Json]]) -> None:
    items = [item for row in rows for item in row]
    whole = decode({"model": "sonnet", "input": items, "tools": [SHELL]})
    history = [(item, f"previous_response_id[{index}]") for index, item in enumerate(items[:-1])]
    parted = decode({"model": "sonnet", "input": items[-1:], "tools": [SHELL]}, history)
    assert orjson.dumps(parted.request) == orjson.dumps(whole.request)
