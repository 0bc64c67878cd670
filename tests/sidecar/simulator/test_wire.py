"""What goes over the wire is Anthropic's format: it fits the SDK's types, and a stream folds to the plain answer."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from anthropic.types import Message, RawMessageStreamEvent, StopReason
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sidecar.simulator import answers
from sidecar.simulator.answers import Answer, RedactedThinking, Text, Thinking, ToolCall
from sidecar.simulator.caching import Reading
from sidecar.simulator.composing import compose
from sidecar.simulator.models import find
from sidecar.simulator.simulator import Simulator
from sidecar.simulator.wire import Terms, message_body, message_events

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
TERMS = Terms(Reading(10, 20, 30, 40))
OPUS = find("claude-opus-5-5")
assert OPUS is not None

FIELD_OF_DELTA = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


def fold(events: list[dict[str, Any]]) -> dict[str, Any]:
    """A client's fold: deltas appended, cumulative usage replaced."""
    message: dict[str, Any] = {}
    arguments: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(dict(event["content_block"]))
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                if delta["type"] == "input_json_delta":
                    arguments[event["index"]] = arguments.get(event["index"], "") + delta["partial_json"]
                else:
                    field = FIELD_OF_DELTA[delta["type"]]
                    block[field] += delta[field]
            case "content_block_stop":
                if arguments.get(event["index"]):
                    message["content"][event["index"]]["input"] = json.loads(arguments[event["index"]])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return message


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)
parts = st.lists(
    st.one_of(
        st.builds(Text, st.text(min_size=1)),
        st.builds(Thinking, st.text(), st.none() | st.integers(0, 500)),
        st.builds(RedactedThinking, st.integers(0, 500)),
        st.builds(ToolCall, st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True), st.dictionaries(st.text(), values)),
    ),
    max_size=6,
)


@given(parts, st.integers(1, 30))
def test_a_stream_always_folds_to_the_plain_answer(spoken: list[Any], delta_chars: int) -> None:
    request = {"model": OPUS.id, "max_tokens": 100_000, "messages": [{"role": "user", "content": "hi"}]}
    message = compose(request, Answer(tuple(spoken)), OPUS, "msg_1")
    sent = [
        json.loads(event.encode().split(b"data: ", 1)[1])
        for event in message_events(message, TERMS, delta_chars=delta_chars)
    ]
    plain = message_body(message, TERMS)
    assert fold(sent) == json.loads(json.dumps(plain))
    Message.model_validate(plain)
    for event in sent:
        if event["type"] != "ping":
            EVENT.validate_python(event)
    assert [event["type"] for event in sent][-2:] == ["message_delta", "message_stop"]
    assert sum(event["type"] == "content_block_start" for event in sent) == len(message.blocks)


def test_every_stop_reason_of_the_sdk_can_be_scripted() -> None:
    assert set(get_args(answers.StopReason)) == set(get_args(StopReason))


async def test_a_stream_begins_and_ends_as_anthropics_does(ask: Any, simulator: Simulator) -> None:
    simulator.script(
        Answer((Thinking("hm"), Text("hello"), ToolCall("read", {"a": 1}), ToolCall("now", {})), delta_chars=4)
    )
    reply = await ask(stream=True)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    kinds = [(event["type"], event.get("delta", {}).get("type")) for event in reply.events]
    assert kinds == [
        ("message_start", None),
        ("content_block_start", None),
        ("ping", None),
        ("content_block_delta", "thinking_delta"),
        ("content_block_delta", "signature_delta"),
        ("content_block_stop", None),
        ("content_block_start", None),
        ("content_block_delta", "text_delta"),
        ("content_block_delta", "text_delta"),
        ("content_block_stop", None),
        ("content_block_start", None),
        ("content_block_delta", "input_json_delta"),
        ("content_block_delta", "input_json_delta"),
        ("content_block_delta", "input_json_delta"),
        ("content_block_stop", None),
        ("content_block_start", None),
        ("content_block_delta", "input_json_delta"),
        ("content_block_stop", None),
        ("message_delta", None),
        ("message_stop", None),
    ]
    start, end = reply.events[0]["message"], reply.events[-2]
    assert start["usage"]["output_tokens"] == 1
    assert start["content"] == []
    assert start["stop_reason"] is None
    assert end["delta"]["stop_reason"] == "tool_use"
    assert end["usage"]["output_tokens"] > end["usage"]["output_tokens_details"]["thinking_tokens"] == 1


async def test_answers_carry_the_headers_of_the_api(ask: Any) -> None:
    for reply in (await ask(), await ask(stream=True), await ask(model="unknown")):
        assert reply.headers["request-id"].startswith("req_")
        assert reply.headers["anthropic-ratelimit-requests-limit"] == "4000"
        assert "anthropic-ratelimit-input-tokens-remaining" in reply.headers


@pytest.mark.parametrize("sizes", [(1,), (7, 3), (100_000,)])
async def test_the_body_can_be_cut_into_any_pieces(ask: Any, simulator: Simulator, sizes: tuple[int, ...]) -> None:
    simulator.script(Answer("grüße 日本", chunk_sizes=sizes, delta_chars=2))
    reply = await ask(stream=True)
    whole = [chunk for chunk in reply.chunks if chunk]
    assert all(len(chunk) == sizes[number % len(sizes)] for number, chunk in enumerate(whole[:-1]))
    assert "".join(event["delta"].get("text", "") for event in reply.events if "delta" in event) == "grüße 日本"


DIAGNOSES: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"model": "claude-opus-5"}, "model_changed"),
    ({"tools": []}, "tools_changed"),
    ({"system": "other"}, "system_changed"),
    ({"messages": "other"}, "messages_changed"),
    ({"output_config": {"effort": "low"}}, "unavailable"),
]


@pytest.mark.parametrize(("change", "reason"), DIAGNOSES, ids=str)
async def test_a_cache_miss_is_explained_against_the_previous_answer(
    ask: Any, change: dict[str, Any], reason: str | None
) -> None:
    first: dict[str, Any] = {
        "tools": [{"name": "read", "input_schema": {"type": "object"}}],
        "system": [{"type": "text", "text": "x" * 2_700, "cache_control": {"type": "ephemeral"}}],
        "messages": "hello",
    }
    answer = (await ask(**first, diagnostics={"previous_message_id": None})).json
    assert answer.get("diagnostics") is None
    reply = await ask(**{**first, **change}, diagnostics={"previous_message_id": answer["id"]})
    diagnosis = Message.model_validate(reply.json).diagnostics
    if reason is None:
        assert diagnosis is None
    else:
        assert diagnosis is not None
        assert diagnosis.cache_miss_reason is not None
        assert diagnosis.cache_miss_reason.type == reason


async def test_an_unknown_previous_answer_is_said_to_be_unknown(ask: Any) -> None:
    reply = await ask(diagnostics={"previous_message_id": "msg_unknown"}, stream=True)
    diagnosis = reply.events[0]["message"]["diagnostics"]
    assert diagnosis == {"cache_miss_reason": {"type": "previous_message_not_found"}}
