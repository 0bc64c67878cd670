"""What holds for every body and every conversation, not only for those someone thought of."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects.openai_chat import decode
from sidecar.errors import GatewayError
from tests.support.messages_requests import all_blocks, assert_claude_takes

always = settings(deadline=None, derandomize=True)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
FIELDS = [
    "model", "messages", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls",
    "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "stop_sequences", "n",
    "stream", "stream_options", "user", "safety_identifier", "metadata", "service_tier", "reasoning_effort",
    "response_format", "thinking", "output_config", "cache_control", "speed", "inference_geo", "container",
    "diagnostics", "input", "store", "logit_bias", "unheard_of",
]  # fmt: skip
KEYS = [
    "role", "content", "type", "text", "name", "id", "function", "arguments", "custom", "input", "tool_calls",
    "tool_call_id", "image_url", "url", "file", "file_data", "filename", "refusal", "parameters",
    "description", "strict", "properties", "json_schema", "schema", "effort", "include_usage", "user_id",
    "cache_control", "ttl", "format", "grammar", "anyOf", "items", "enum", "$ref", "$defs", "mode", "tools",
    "allowed_tools", "source", "tool_use_id", "thinking", "signature", "additionalProperties", "required",
]  # fmt: skip
WORDS = [
    "user", "assistant", "system", "developer", "tool", "function", "custom", "text", "image_url", "file",
    "input_audio", "tool_use", "tool_result", "thinking", "object", "array", "string", "json_schema",
    "json_object", "allowed_tools", "auto", "none", "required", "grammar", "lark", "ephemeral", "base64",
    "data:image/png;base64,AA", "https://x", "http://x",
]  # fmt: skip
values = st.recursive(
    scalars | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
loose_messages = st.lists(
    st.dictionaries(st.sampled_from(KEYS), values, max_size=4).flatmap(
        lambda rest: st.sampled_from(WORDS[:7]).map(lambda role: {**rest, "role": role})
    ),
    min_size=1,
    max_size=4,
)
bodies = st.dictionaries(st.sampled_from(FIELDS), values, max_size=6) | st.builds(
    lambda rest, messages: {**rest, "model": "m", "messages": messages},
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=4),
    loose_messages,
)


@always
@given(bodies)
def test_any_json_is_understood_or_refused_with_a_400_that_names_a_field(body: dict[str, Any]):
    error = _refusal(body)
    if error is not None:
        assert error.status == 400
        assert error.param
        assert len(error.message) < 500


@always
@given(bodies)
def test_a_field_that_is_null_is_one_that_is_not_there(body: dict[str, Any]):
    said = {field: value for field, value in body.items() if value is not None}
    nothing = dict.fromkeys(["web_search_options", "tools", "functions", "tool_choice", "system"])
    assert _outcome({**nothing, **said}) == _outcome(said)


def _outcome(body: dict[str, Any]) -> object:
    try:
        return decode(body)
    except GatewayError as error:
        return error.message


def _refusal(body: dict[str, Any]) -> GatewayError | None:
    try:
        decode(body)
    except GatewayError as error:
        return error
    return None


words = st.sampled_from(["", " \n", "hello", "  two words ", "ünï\u2028", "<b>"]) | st.text(max_size=6)
ids = st.sampled_from(["a", "b", "call_1", "x.y/1", ""])
names = st.sampled_from(["read", "fs.read", "x" * 140, "fs_read"])
marks = st.none() | st.just({"type": "ephemeral"}) | st.just({"type": "ephemeral", "ttl": "1h"})
parts = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, words),
    st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
)


def _with_mark(message: dict[str, Any], mark: dict[str, str] | None) -> dict[str, Any]:
    return message if mark is None else {**message, "cache_control": mark}


calls = st.builds(
    lambda call_id, name, arguments: {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    ids,
    names,
    st.sampled_from(["", "{}", '{"b": 1, "a": [1.50]}', "{", "[1]", '{"n": 123456789012345678901234567890}']),
)
thinking = st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "c2ln"}, words)
messages = st.one_of(
    st.builds(
        lambda role, text: {"role": role, "content": text},
        st.sampled_from(["system", "user", "user"]),
        words,
    ),
    st.builds(lambda content: {"role": "user", "content": content}, st.lists(parts, max_size=3)),
    st.builds(
        lambda content, made: {"role": "assistant", "content": content, "tool_calls": made or None},
        st.none() | words | st.lists(thinking | parts.filter(lambda part: part["type"] == "text"), max_size=2),
        st.lists(calls, max_size=3),
    ),
    st.builds(
        lambda call_id, content: {"role": "tool", "tool_call_id": call_id, "content": content},
        ids,
        words | st.lists(parts, max_size=2),
    ),
    st.builds(lambda name: {"role": "assistant", "function_call": {"name": name, "arguments": "{}"}}, names),
    st.builds(lambda name, text: {"role": "function", "name": name, "content": text}, names, words),
    st.builds(
        lambda call_id, text: {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call_id, "content": text},
                {"type": "text", "text": text},
            ],
        },
        ids,
        words,
    ),
)
conversations = st.lists(messages, min_size=1, max_size=9)
marked_conversations = st.lists(st.builds(_with_mark, messages, marks), min_size=1, max_size=9)
TOOLS = [{"type": "function", "function": {"name": "fs.read"}}, {"type": "function", "function": {"name": "read"}}]
tools = st.sampled_from([[], TOOLS])


def _body(conversation: list[dict[str, Any]], defined: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model": "m", "messages": conversation, "tools": defined}


@always
@given(marked_conversations, tools)
def test_every_conversation_becomes_one_that_claude_takes(conversation, defined):
    assert_claude_takes(decode(_body(conversation, defined)).request)


@always
@given(marked_conversations, tools)
def test_the_body_of_the_client_stays_as_it_was_and_decoding_again_gives_the_same(conversation, defined):
    body = _body(conversation, defined)
    untouched = copy.deepcopy(body)
    first = decode(body)
    assert body == untouched
    assert decode(body) == first


def _bytes(messages: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(message) for message in messages]


@always
@given(conversations, tools)
def test_a_growing_conversation_keeps_the_bytes_of_every_settled_turn(conversation, defined):
    conversation = [message for message in conversation if message["role"] != "system" or message["content"].strip()]
    for length in range(1, len(conversation)):
        last, added = conversation[length - 1], conversation[length]
        before = decode(_body(conversation[:length], defined)).request
        after = decode(_body(conversation[: length + 1], defined)).request
        settled = before["messages"]
        if not (added["role"] == "assistant" and last["role"] != "assistant"):
            # What comes now may still belong to the open turn.
            while settled and settled[-1]["role"] != "assistant":
                settled = settled[:-1]
            if last["role"] == "assistant":
                settled = settled[:-1]
        assert _bytes(after["messages"])[: len(settled)] == _bytes(settled)
        if any(message["role"] != "system" for message in conversation[:length]):
            assert before.get("system") == after.get("system")
        assert _bytes(after.get("tools", []))[: len(before.get("tools", []))] == _bytes(before.get("tools", []))


@always
@given(marked_conversations, tools)
def test_cache_marks_change_nothing_but_themselves(conversation, defined):
    plain = [{key: value for key, value in message.items() if key != "cache_control"} for message in conversation]
    marked = decode(_body(conversation, defined)).request
    for block in all_blocks(marked):
        block.pop("cache_control", None)
    assert marked == decode(_body(plain, defined)).request


@always
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=8))
def test_the_words_of_both_sides_go_through_byte_for_byte(said):
    conversation = [{"role": "assistant" if index % 2 else "user", "content": text} for index, text in enumerate(said)]
    sent = decode(_body(conversation, [])).request["messages"]
    assert [[block["text"] for block in message["content"]] for message in sent] == [[text] for text in said]


@always
@given(st.lists(names | st.text(min_size=1, max_size=150), min_size=1, max_size=8))
def test_every_tool_name_can_be_mapped_back_to_the_one_the_client_gave(given_names):
    defined = [
        {"type": "function", "function": {"name": name, "description": str(index)}}
        for index, name in enumerate(given_names)
    ]
    decoded = decode(_body([{"role": "user", "content": "go"}], defined))
    sent = [tool["name"] for tool in decoded.request["tools"]]
    assert [decoded.tool_names.get(name, name) for name in sent] == given_names
    assert_claude_takes(decoded.request)


@always
@given(marked_conversations, tools, st.data())
def test_going_on_from_an_earlier_request_gives_what_reading_all_gives(conversation, defined, data):
    before, said = None, []
    for length in sorted(data.draw(st.sets(st.integers(1, len(conversation)), min_size=1))):
        body = _body(conversation[:length], defined)
        decoded = decode(body, before and before.resumption, len(said))
        assert decoded == decode(body)
        assert json.dumps(decoded.request) == json.dumps(decode(body).request)
        if before is not None:
            assert before == decode(_body(said, defined)), "an earlier request was written to"
            known = zip(before.request["messages"][: decoded.known], decoded.request["messages"], strict=False)
            assert all(one is other for one, other in known)
        before, said = decoded, conversation[:length]


def test_what_is_known_of_a_conversation_is_all_but_its_open_turn():
    said = [{"role": "user" if at % 2 == 0 else "assistant", "content": f"{at}"} for at in range(9)]
    before = decode(_body(said, TOOLS))
    more = [{"role": "assistant", "content": "9"}, {"role": "user", "content": "10"}]
    assert decode(_body(said + more, TOOLS), before.resumption, len(said)).known == 7
