import typing

import pytest
from anthropic.types import StopReason
from anthropic.types.beta import BetaStopReason
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.openai_chat import FINISH_REASONS, encode_message, merge_choices, usage
from sidecar.exchange import Json, Usage
from tests.support.messages import messages, usages
from tests.support.openai_answers import checked_completion

STOP_REASONS = {*typing.get_args(StopReason), *typing.get_args(BetaStopReason)}


def message(*content: Json, stop_reason: str | None = "end_turn", **more: object) -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
        **more,
    }


def encoded(wire: Json, **more: object) -> Json:
    options: Json = {"id": "chatcmpl-1", "created": 1_795_000_000, "tool_names": {}, **more}
    return checked_completion(encode_message(wire, **options))


def assistant(wire: Json, **more: object) -> Json:
    told: Json = encoded(wire, **more)["choices"][0]["message"]
    return told


TEXT = {"type": "text", "text": "Hello"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "sent", "input": {"path": "ä.py", "n": 1}}


def test_every_stop_reason_of_the_sdk_has_its_finish_reason() -> None:
    assert FINISH_REASONS.keys() == STOP_REASONS, "the SDK's stop reasons changed: say what each new one finishes with"


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("compaction", "length"),
        ("refusal", "content_filter"),
        ("reason_of_tomorrow", "stop"),
        (None, "stop"),
    ],
)
def test_stop_reasons_read_as_openai_says_it(stop_reason: str | None, finish_reason: str) -> None:
    assert encoded(message(TEXT, stop_reason=stop_reason))["choices"][0]["finish_reason"] == finish_reason


@given(messages())
def test_any_message_is_an_answer_that_openai_knows(wire: Json) -> None:
    answer = encoded(wire)
    content = answer["choices"][0]["message"]
    assert (content["content"] or "") == "".join(part["text"] for part in wire["content"] if part["type"] == "text")
    assert len(content.get("tool_calls", [])) == sum(part["type"] == "tool_use" for part in wire["content"])


def test_the_envelope_is_openais() -> None:
    answer = encoded(message(TEXT), index=2)
    assert (answer["id"], answer["object"], answer["created"]) == ("chatcmpl-1", "chat.completion", 1_795_000_000)
    assert answer["model"] == "claude-opus-5-5"
    assert answer["choices"][0] | {"message": None} == {
        "index": 2,
        "message": None,
        "logprobs": None,
        "finish_reason": "stop",
    }


def test_text_is_joined_and_thinking_stands_apart() -> None:
    thinking = {"type": "thinking", "thinking": "Hm. ", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "opaque"}
    assert assistant(message(thinking, hidden, TEXT, {"type": "text", "text": ", you."}, thinking)) == {
        "role": "assistant",
        "content": "Hello, you.",
        "refusal": None,
        "reasoning_content": "Hm. Hm. ",
    }


def test_empty_thinking_leaves_no_field() -> None:
    empty = {"type": "thinking", "thinking": "", "signature": "s"}
    assert "reasoning_content" not in assistant(message(empty, TEXT))


def test_calls_carry_the_clients_own_names_and_their_arguments_as_text() -> None:
    told = assistant(message(CALL, {**CALL, "id": "toolu_2", "name": "other", "input": {}}), tool_names={"sent": "a.b"})
    assert told["content"] is None
    assert told["tool_calls"] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "a.b", "arguments": '{"path":"ä.py","n":1}'}},
        {"id": "toolu_2", "type": "function", "function": {"name": "other", "arguments": "{}"}},
    ]


def test_arguments_that_were_cut_off_are_shown_as_far_as_they_came() -> None:
    cut = {**CALL, "input": {"INVALID_JSON": '{"path": "a'}}
    told = assistant(message(cut, stop_reason="max_tokens"))
    assert told["tool_calls"][0]["function"]["arguments"] == '{"path": "a'


def test_a_custom_tool_gets_its_free_form_input() -> None:
    call = {**CALL, "input": {"input": "*** Begin Patch"}}
    told = assistant(message(call), custom_tools={"sent"}, tool_names={"sent": "apply.patch"})
    assert told["tool_calls"] == [
        {"id": "toolu_1", "type": "custom", "custom": {"name": "apply.patch", "input": "*** Begin Patch"}}
    ]


def test_a_client_of_2023_gets_one_function_call() -> None:
    answer = encoded(message(CALL, stop_reason="tool_use"), legacy_functions=True)
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "sent", "arguments": '{"path":"ä.py","n":1}'}
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize(
    ("details", "refusal"),
    [
        ({"type": "refusal", "category": "cyber", "explanation": "Not this."}, "Not this."),
        (
            {"type": "refusal", "category": "bio", "explanation": None},
            "Claude declined to answer this request (bio).",
        ),
        ({"type": "refusal", "category": None, "explanation": None}, "Claude declined to answer this request."),
        (None, "Claude declined to answer this request."),
    ],
)
def test_a_refusal_says_why(details: Json | None, refusal: str) -> None:
    told = assistant(message(stop_reason="refusal", stop_details=details))
    assert told == {"role": "assistant", "content": None, "refusal": refusal}


def test_a_refusal_keeps_what_was_said_before_it() -> None:
    told = assistant(message(TEXT, stop_reason="refusal", stop_details=None))
    assert told["content"] == "Hello"


def test_an_answer_of_nothing_is_empty_text_and_not_null() -> None:
    assert assistant(message())["content"] == ""


def test_server_tools_and_citations_leave_the_text_alone() -> None:
    blocks: list[Json] = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "It is so", "citations": [{"type": "web_search_result_location", "url": "https://x"}]},
        {"type": "block_of_tomorrow", "text": 1},
    ]
    told = assistant(message(*blocks))
    assert (told["content"], [one["type"] for one in told["annotations"]]) == ("It is so", ["url_citation"])


@given(usages())
def test_the_prompt_is_all_that_was_read_and_the_cached_part_never_exceeds_it(wire: Json) -> None:
    told = usage(wire)
    details = told["prompt_tokens_details"]
    assert told["prompt_tokens"] == (
        wire["input_tokens"] + wire["cache_read_input_tokens"] + wire["cache_creation_input_tokens"]
    )
    assert details["cached_tokens"] == wire["cache_read_input_tokens"] <= told["prompt_tokens"]
    assert details["cache_write_tokens"] == wire["cache_creation_input_tokens"]
    assert told["completion_tokens"] == wire["output_tokens"]
    assert told["completion_tokens_details"]["reasoning_tokens"] <= told["completion_tokens"]
    assert told["total_tokens"] == told["prompt_tokens"] + told["completion_tokens"]


def test_usage_reads_the_gateways_own_counters_too() -> None:
    counted = Usage(input_tokens=1, cache_read_tokens=2, cache_write_5m_tokens=4, output_tokens=8, thinking_tokens=3)
    assert usage(counted) == {
        "prompt_tokens": 7,
        "completion_tokens": 8,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_the_caches_total_counts_also_where_its_split_is_of_a_kind_unknown() -> None:
    wire = {"input_tokens": 1, "cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_24h_input_tokens": 9}}
    assert usage(wire)["prompt_tokens"] == 10


@given(st.lists(usages(), min_size=1, max_size=4))
def test_several_choices_are_one_answer_whose_usage_is_their_sum(wires: list[Json]) -> None:
    answers = [encoded(message(TEXT, usage=wire), index=index) for index, wire in enumerate(wires)]
    merged = checked_completion(merge_choices(answers))
    assert [choice["index"] for choice in merged["choices"]] == list(range(len(wires)))
    assert merged["usage"]["prompt_tokens"] == sum(answer["usage"]["prompt_tokens"] for answer in answers)
    assert merged["usage"]["prompt_tokens_details"]["cached_tokens"] == sum(
        wire["cache_read_input_tokens"] for wire in wires
    )
