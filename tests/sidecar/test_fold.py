import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.anthropic_messages import stream_of
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.fold import MessageFold, input_text, parse_input
from sidecar.sse import EventSplitter
from tests.support.messages import JSON_VALUES, TEXT, messages

START: Json = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1},
    },
}
STOP: Json = {"type": "message_stop"}


def folded(*events: Json) -> Json:
    fold = MessageFold()
    for event in events:
        fold.feed(event)
    return fold.message


def block(*deltas: Json, start: Json, index: int = 0) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def tool_input(*pieces: str) -> Any:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    start = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    return folded(START, *block(*deltas, start=start), STOP)["content"][0]["input"]


@given(messages())
def test_a_message_told_as_a_stream_folds_back_to_itself(message: Json) -> None:
    assert folded(*(orjson.loads(event.data) for event in stream_of(message))) == message


@given(messages(), st.lists(st.integers(0, 3000), max_size=5), st.sampled_from([b"\n", b"\r\n"]))
def test_wherever_the_network_cuts_a_stream_it_folds_to_the_same_message(
    message: Json, cuts: list[int], end: bytes
) -> None:
    stream = b"".join(event.raw for event in stream_of(message)).replace(b"\n", end)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    splitter = EventSplitter()
    fold = MessageFold()
    for start, stop in pairwise(edges):
        for event in splitter.feed(stream[start:stop]):
            if event.data:
                fold.feed(orjson.loads(event.data))
    assert fold.message == message


@given(messages())
def test_the_sdk_reads_the_same_message_from_the_stream(message: Json) -> None:
    known = [part for part in message["content"] if part["type"] != "block_of_tomorrow"]
    message = {**message, "content": known}
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in stream_of(message):
        snapshot = accumulate_event(event=orjson.loads(event.data), current_snapshot=snapshot, json_bufs=buffers)
    ours = folded(*(orjson.loads(event.data) for event in stream_of(message)))
    theirs = snapshot.to_dict(mode="json")
    assert theirs["content"] == ours["content"]
    assert {name: value for name, value in theirs["usage"].items() if value is not None} == {
        name: value for name, value in ours["usage"].items() if value is not None
    }
    assert theirs["stop_reason"] == ours["stop_reason"]


def test_usage_counters_are_totals_and_those_left_out_keep_their_first_value() -> None:
    message = folded(
        START,
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 5}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 12, "input_tokens": None, "cache_read_input_tokens": 4},
        },
        STOP,
    )
    assert message["usage"] == {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 12}
    assert message["stop_reason"] == "end_turn"


def test_thinking_keeps_its_signature_also_when_its_text_is_empty() -> None:
    start = {"type": "thinking", "thinking": "", "signature": ""}
    message = folded(START, *block({"type": "signature_delta", "signature": "sig=="}, start=start), STOP)
    assert message["content"] == [{"type": "thinking", "thinking": "", "signature": "sig=="}]


def test_redacted_thinking_stays_as_it_came() -> None:
    start = {"type": "redacted_thinking", "data": "opaque"}
    assert folded(START, *block(start=start), STOP)["content"] == [start]


def test_tool_input_is_parsed_from_its_pieces() -> None:
    assert tool_input("", '{"pa', 'th": "a', '.py"}') == {"path": "a.py"}


@pytest.mark.parametrize("pieces", [[], [""]])
def test_a_tool_without_arguments_has_an_empty_input(pieces: list[str]) -> None:
    assert tool_input(*pieces) == {}


def test_tool_input_that_was_cut_off_is_wrapped_and_not_lost() -> None:
    assert tool_input('{"path": "a') == {"INVALID_JSON": '{"path": "a'}


@pytest.mark.parametrize("text", ['{"id": 123456789012345678901234567890}', '{"a": ' + "[" * 500 + "]" * 500 + "}"])
def test_tool_input_that_would_not_be_written_again_as_it_was_is_wrapped_too(text: str) -> None:
    assert tool_input(text[:9], text[9:]) == {"INVALID_JSON": text}
    assert input_text(tool_input(text)) == text


def test_citations_gather_on_their_text() -> None:
    citation = {"type": "char_location", "cited_text": "x"}
    message = folded(
        START,
        *block(
            {"type": "text_delta", "text": "so"},
            {"type": "citations_delta", "citation": citation},
            {"type": "citations_delta", "citation": citation},
            start={"type": "text", "text": "", "citations": None},
        ),
        STOP,
    )
    assert message["content"] == [{"type": "text", "text": "so", "citations": [citation, citation]}]


def test_what_a_newer_api_adds_does_no_harm() -> None:
    message = folded(
        {"type": "ping"},
        START,
        {"type": "event_of_tomorrow", "index": 0},
        *block({"type": "hologram_delta", "light": 1}, start={"type": "hologram", "light": 0}),
        *block({"type": "text_delta", "text": "hi"}, start={"type": "text", "text": ""}, index=1),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "mood": "good"},
            "context_management": {"applied_edits": []},
            "usage": {"output_tokens": 2},
        },
        STOP,
    )
    assert [part["type"] for part in message["content"]] == ["hologram", "text"]
    assert message["mood"] == "good"
    assert message["context_management"] == {"applied_edits": []}


def test_a_compaction_block_takes_its_text_whole() -> None:
    deltas = {"type": "compaction_delta", "content": "summary", "encrypted_content": "opaque"}
    message = folded(START, *block(deltas, start={"type": "compaction", "content": None}), STOP)
    assert message["content"] == [{"type": "compaction", "content": "summary", "encrypted_content": "opaque"}]


def test_there_is_no_message_before_its_end() -> None:
    fold = MessageFold()
    fold.feed(START)
    assert not fold.complete
    with pytest.raises(ValueError, match="not complete"):
        _ = fold.message


@pytest.mark.parametrize(
    "broken",
    [
        [STOP],
        [{"type": "message_delta", "delta": {}, "usage": {}}],
        [START, {"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}}],
    ],
)
def test_a_stream_out_of_order_is_a_broken_answer(broken: list[Json]) -> None:
    with pytest.raises(GatewayError, match="Claude's answer is broken") as caught:
        folded(*broken)
    assert caught.value.status == 502


@given(st.dictionaries(TEXT, JSON_VALUES, max_size=3))
def test_input_survives_its_own_text(value: Json) -> None:
    assert parse_input(input_text(value)) == value


@given(st.text(alphabet='{}[]":,ab \\1', max_size=20))
def test_any_arguments_survive_being_input_in_between(text: str) -> None:
    value = parse_input(text)
    same: Callable[[str], Any] = (lambda _: text) if value == {"INVALID_JSON": text} else json.loads
    assert same(input_text(value)) == same(text)
