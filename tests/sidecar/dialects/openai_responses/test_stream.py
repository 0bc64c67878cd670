"""Claude's answers as responses: every event in its place, and the same whole as in pieces."""

import typing
from itertools import pairwise
from typing import Any

import orjson
import pytest
from anthropic.types import StopReason
from anthropic.types.beta import BetaStopReason
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects.anthropic_messages import stream_of
from sidecar.dialects.openai_responses import STATUSES, Envelope, ItemForms, ResponseStream, encode_response
from sidecar.dialects.openai_responses.reasoning import opened
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.sse import EventSplitter, ServerSentEvent
from tests.support.messages import messages
from tests.support.response_answers import ENDINGS, checked_events, checked_response, spelled
from tests.support.thorough import examples

KEY = "0" * 32
ECHO: Json = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "temperature": None,
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
}
ENVELOPE = Envelope(key=KEY, created=1_800_000_000, model="claude-opus-5-5", echo=ECHO)
FORMS = ItemForms(
    key=KEY, tool_names={"renamed_1a2b": "fs.read"}, custom_tools=frozenset({"run"}), encrypted=True,
    namespaces={"mcp__files__list": ("mcp__files", "list")},
)  # fmt: skip


def stream() -> ResponseStream:
    return ResponseStream(ENVELOPE, FORMS, clock=lambda: 1_800_000_009)


def whole(message: Json) -> Json:
    return encode_response(message, ENVELOPE, FORMS, completed=1_800_000_009)


def a_message(*content: Json, stop_reason: str = "end_turn", **more: Any) -> Json:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 7}
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-5", "content": [*content],
        "stop_reason": stop_reason, "stop_sequence": None, "usage": usage,
    } | more  # fmt: skip


def kinds(events: list[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def told(*content: Json, **more: Any) -> list[Json]:
    return checked_events(stream().feed_all(stream_of(a_message(*content, **more))))


@settings(max_examples=examples(60), deadline=None)
@given(messages())
def test_a_stream_adds_up_to_the_whole_answer(message: Json) -> None:
    response = checked_response(whole(message))
    events = checked_events(stream().feed_all(stream_of(message)))
    assert events[-1]["response"] == response
    assert events[-1]["type"] == f"response.{response['status']}"
    assert [item["item"] for item in events if item["type"] == "response.output_item.done"] == response["output"]
    told_at_the_end = {"status", "encrypted_content", "action", "code", "outputs"}
    for pieces, item in zip(spelled(events), response["output"], strict=True):
        assert {**item, **{name: pieces.get(name) for name in told_at_the_end & item.keys()}} == pieces | {
            name: pieces.get(name) for name in told_at_the_end & item.keys()
        }


@settings(max_examples=examples(40), deadline=None)
@given(messages(), st.data())
def test_no_cut_of_the_stream_changes_it(message: Json, data: st.DataObject) -> None:
    upstream = b"".join(event.raw for event in stream_of(message))
    cuts = data.draw(st.lists(st.integers(0, len(upstream)), max_size=12))
    edges = [0, *sorted(cuts), len(upstream)]
    splitter, one = EventSplitter(), stream()
    pieces = b"".join(one.feed_all(splitter.take(upstream[start:stop]) or ()) for start, stop in pairwise(edges))
    assert pieces == stream().feed_all(stream_of(message))


def test_a_plain_answer_is_one_message_with_every_event_in_order() -> None:
    assert kinds(told({"type": "text", "text": "Hi"})) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip


def test_thinking_is_a_reasoning_item_that_carries_claudes_own_block() -> None:
    block = {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
    events = told(block, {"type": "text", "text": "42"})
    assert kinds(events)[2:8] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
    ]  # fmt: skip
    [item, _] = events[-1]["response"]["output"]
    assert item["summary"] == [{"type": "summary_text", "text": "Let me see."}]
    assert opened(item["encrypted_content"]) == [block]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "thinking", "thinking": "ünsäglich 猫 \u2028", "signature": "c2ln"},
    ],
)
def test_every_kind_of_signed_thinking_is_carried_byte_for_byte(block: Json) -> None:
    [item] = whole(a_message(block))["output"]
    back = opened(item["encrypted_content"])
    assert back is not None
    assert orjson.dumps(back) == orjson.dumps([block])


def test_unsigned_thinking_is_not_carried_and_so_not_given_back() -> None:
    cut = {"type": "thinking", "thinking": "Let me", "signature": ""}
    [item] = whole(a_message(cut, stop_reason="max_tokens"))["output"]
    assert "encrypted_content" not in item
    assert item["status"] == "incomplete"


def test_nobody_who_did_not_ask_gets_encrypted_content() -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    response = encode_response(a_message(block), ENVELOPE, ItemForms(key=KEY), completed=0)
    assert "encrypted_content" not in response["output"][0]


def test_calls_are_items_of_their_kind_with_the_clients_names() -> None:
    names = {"renamed_1a2b": {"path": "a"}, "run": {"input": "ls"}, "mcp__files__list": {}}
    blocks = [
        {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": value}
        for index, (name, value) in enumerate(names.items())
    ]
    events = told(*blocks, stop_reason="tool_use")
    function, custom, grouped = events[-1]["response"]["output"]
    assert (function["type"], function["name"], function["arguments"]) == ("function_call", "fs.read", '{"path":"a"}')
    assert (custom["type"], custom["name"], custom["input"]) == ("custom_tool_call", "run", "ls")
    assert (grouped["namespace"], grouped["name"], grouped["arguments"]) == ("mcp__files", "list", "{}")
    assert kinds(events)[2:-1] == [
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
    ]  # fmt: skip


@pytest.mark.parametrize("reason", sorted({*typing.get_args(StopReason), *typing.get_args(BetaStopReason)}))
def test_every_stop_reason_is_an_ending_that_openai_knows(reason: str) -> None:
    status, why = STATUSES[reason]
    last = told({"type": "text", "text": "Hi"}, stop_reason=reason)[-1]
    assert last["type"] in ENDINGS
    assert last["response"]["status"] == status
    assert (last["response"]["incomplete_details"] or {}).get("reason") == why


def test_a_reason_of_tomorrow_is_a_plain_end() -> None:
    assert told(stop_reason="because")[-1]["type"] == "response.completed"


def test_what_is_cut_says_so_in_its_last_item() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"INVALID_JSON": '{"path": "a'}}
    response = whole(a_message({"type": "text", "text": "I read"}, call, stop_reason="max_tokens"))
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["output"][-1]["arguments"] == '{"path": "a'
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_refusal_is_a_part_of_the_message_and_an_incomplete_answer() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    events = told({"type": "text", "text": "I "}, stop_reason="refusal", stop_details=details)
    [item] = events[-1]["response"]["output"]
    assert item["content"][-1] == {"type": "refusal", "refusal": "Not this."}
    assert events[-1]["response"]["incomplete_details"] == {"reason": "content_filter"}


def test_usage_counts_everything_that_was_read() -> None:
    usage = told({"type": "text", "text": "Hi"})[-1]["response"]["usage"]
    assert usage["input_tokens"] == 8
    assert usage["input_tokens_details"]["cached_tokens"] == 5
    assert usage["total_tokens"] == 15


def test_a_search_is_an_item_with_its_sources_and_the_text_cites_pages() -> None:
    page = {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "x"}
    citation = {
        "type": "web_search_result_location", "url": "https://a.example", "title": "A", "encrypted_index": "x",
        "cited_text": "rain",
    }  # fmt: skip
    events = told(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]},
        {"type": "text", "text": "It says: "},
        {"type": "text", "text": "rain.", "citations": [citation]},
    )
    search, message = events[-1]["response"]["output"]
    assert search["action"]["query"] == "rain"
    assert search["action"]["sources"] == [{"type": "url", "url": "https://a.example"}]
    [part] = message["content"]
    assert part["text"] == "It says: rain."
    [found] = part["annotations"]
    assert part["text"][found["start_index"] : found["end_index"]] == "rain."
    assert kinds(events)[2:7] == [
        "output_item.added", "web_search_call.in_progress", "web_search_call.searching", "web_search_call.completed",
        "output_item.done",
    ]  # fmt: skip


def test_a_program_is_an_item_with_its_output() -> None:
    result = {"type": "bash_code_execution_result", "stdout": "2\n", "stderr": "", "return_code": 0, "content": []}
    events = told(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "bash_code_execution", "input": {"command": "ls"}},
        {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": result},
    )
    [item] = events[-1]["response"]["output"]
    assert (item["type"], item["code"], item["outputs"]) == (
        "code_interpreter_call", "ls", [{"type": "logs", "logs": "2\n"}],
    )  # fmt: skip
    assert item["status"] == "completed"


def test_an_answer_that_breaks_off_ends_in_an_error_and_a_failed_response() -> None:
    one = stream()
    begun = one.feed_all(stream_of(a_message({"type": "text", "text": "Hi"}))[:3])
    events = checked_events(begun + one.fail(GatewayError("overloaded_error", "Overloaded")))
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["error"]["code"] == "overloaded"
    assert events[-1]["response"]["error"] == {"code": "server_error", "message": "Overloaded"}


@pytest.mark.parametrize("data", [b"{", b'{"type":"content_block_delta"}', b'{"type":"message_start","message":3}'])
def test_what_makes_no_sense_is_a_broken_answer(data: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        stream().feed_all([ServerSentEvent(b"", data, b"")])
    assert raised.value.status == 502
