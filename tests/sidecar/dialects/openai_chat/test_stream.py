import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx2
import openai
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects.anthropic_messages import stream_of
from sidecar.dialects.openai_chat import FINISH_REASONS, ChatStream, encode_message, end_of, error_chunk
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.sse import Events, EventSplitter, ServerSentEvent
from tests.support.messages import messages
from tests.support.openai_answers import accumulated, checked, chunks_of, told

START: Json = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1},
    },
}
TOOL_NAMES = {"renamed_1a2b": "files.read"}


def stream(**options: Any) -> ChatStream:
    return ChatStream(
        **{
            "id": "chatcmpl-1",
            "created": 1_795_000_000,
            "model": "claude-opus-5-5",
            "include_usage": False,
            "tool_names": TOOL_NAMES,
            **options,
        }
    )


def block(start: Json, *deltas: Json, index: int = 0) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(*pieces: str, index: int = 0) -> list[Json]:
    return block(
        {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces), index=index
    )


def call(*pieces: str, index: int = 0, name: str = "run", given: Json | None = None) -> list[Json]:
    start = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": given or {}}
    return block(start, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces), index=index)


def finish(stop_reason: str | None = "end_turn", **delta: Any) -> list[Json]:
    return [
        {"type": "message_delta", "delta": {"stop_reason": stop_reason, **delta}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]


def answered(*events: Json, **options: Any) -> list[Json]:
    """The chunks of a whole answer, each accepted by the SDK's types and OpenAI's schema."""
    choice = stream(**options)
    return checked(chunks_of(b"".join(map(choice.feed, [START, *events])) + choice.end()))


def deltas(chunks: list[Json]) -> list[Json]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]


def test_each_chunk_has_openais_exact_shape() -> None:
    chunks = answered(*text("Hi", " there"), *finish())
    envelope = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_795_000_000,
        "model": "claude-opus-5-5",
    }
    told_deltas: list[tuple[Json, str | None]] = [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        ({"content": "Hi"}, None),
        ({"content": " there"}, None),
        ({}, "stop"),
    ]
    assert chunks == [
        {**envelope, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
        for delta, reason in told_deltas
    ]


def test_usage_comes_last_where_it_was_asked_for_and_null_before() -> None:
    *before, last = answered(*text("Hi"), *finish(), include_usage=True)
    assert all(chunk["usage"] is None for chunk in before)
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 15
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == 5
    assert last["usage"]["completion_tokens"] == 7


def test_usage_stays_out_where_nobody_asked() -> None:
    assert not any("usage" in chunk for chunk in answered(*text("Hi"), *finish()))


def test_tool_calls_are_counted_among_themselves_and_name_themselves_once() -> None:
    chunks = answered(
        *block({"type": "thinking", "thinking": "", "signature": ""}),
        *text("Let me see.", index=1),
        *call("", '{"a"', ":1}", index=2, name="renamed_1a2b"),
        *call('{"b":2}', index=5),
        *finish("tool_use"),
    )
    calls = [entry for delta in deltas(chunks) for entry in delta.get("tool_calls", ())]
    assert calls == [
        {"index": 0, "id": "toolu_2", "type": "function", "function": {"name": "files.read", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ":1}"}},
        {"index": 1, "id": "toolu_5", "type": "function", "function": {"name": "run", "arguments": ""}},
        {"index": 1, "function": {"arguments": '{"b":2}'}},
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("pieces", [(), ("",)])
def test_a_call_without_arguments_carries_an_empty_object(pieces: tuple[str, ...]) -> None:
    chunks = answered(*call(*pieces), *finish("tool_use"))
    assert accumulated(chunks)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_call_that_brings_its_input_at_once_keeps_it() -> None:
    chunks = answered(*call(given={"a": 1}), *finish("tool_use"))
    assert accumulated(chunks)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'


def test_a_custom_tool_gets_its_free_form_input_in_one_piece() -> None:
    choice = stream(custom_tools={"renamed_1a2b"})
    events = [START, *call('{"inp', 'ut":"a\\nb"}', name="renamed_1a2b"), *finish("tool_use")]
    chunks = chunks_of(b"".join(map(choice.feed, events)) + choice.end())
    assert [entry for delta in deltas(chunks) for entry in delta.get("tool_calls", ())] == [
        {"index": 0, "id": "toolu_0", "type": "custom", "custom": {"name": "files.read", "input": ""}},
        {"index": 0, "custom": {"input": "a\nb"}},
    ]


def test_a_client_of_2023_gets_one_function_call() -> None:
    chunks = answered(*call('{"a":', "1}"), *call("{}", index=1), *finish("tool_use"), legacy_functions=True)
    assert [delta["function_call"] for delta in deltas(chunks) if "function_call" in delta] == [
        {"name": "run", "arguments": ""},
        {"arguments": '{"a":'},
        {"arguments": "1}"},
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == "function_call"


def test_thinking_flows_as_reasoning_and_empty_or_hidden_thinking_not_at_all() -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    chunks = answered(
        *block(thinking, {"type": "thinking_delta", "thinking": "Hm."}, {"type": "signature_delta", "signature": "s"}),
        *block(thinking, {"type": "thinking_delta", "thinking": ""}, {"type": "signature_delta", "signature": "s"}),
        *block({"type": "redacted_thinking", "data": "opaque"}),
        *text("So.", index=3),
        *finish(),
    )
    assert deltas(chunks)[1:-1] == [{"reasoning_content": "Hm."}, {"content": "So."}]


def test_words_that_come_with_the_start_of_a_block_are_not_lost() -> None:
    chunks = answered(*block({"type": "text", "text": "Hi"}, {"type": "text_delta", "text": "!"}), *finish())
    assert accumulated(chunks)["choices"][0]["message"]["content"] == "Hi!"


def test_a_refusal_says_why_and_ends_as_a_filtered_answer() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    chunks = answered(*finish("refusal", stop_details=details))
    assert deltas(chunks)[1:] == [{"refusal": "Not this."}, {}]
    assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize("stop_reason", [*FINISH_REASONS, "reason_of_tomorrow", None])
def test_whatever_the_stop_reason_one_chunk_finishes(stop_reason: str | None) -> None:
    chunks = answered(*text("Hi"), *finish(stop_reason))
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert [reason for reason in reasons if reason] == [FINISH_REASONS.get(stop_reason or "", "stop")]
    assert reasons[-1] is not None


def test_server_tools_citations_and_what_a_newer_api_adds_do_no_harm() -> None:
    chunks = answered(
        {"type": "ping"},
        {"type": "event_of_tomorrow"},
        {},
        *block(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"query":"x"}'},
        ),
        *block({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}, index=1),
        *block({"type": "hologram"}, {"type": "hologram_delta", "light": 1}, index=2),
        *block(
            {"type": "text", "text": "", "citations": []},
            {"type": "text_delta", "text": "So."},
            {"type": "citations_delta", "citation": {"type": "web_search_result_location"}},
            index=3,
        ),
        *finish(),
    )
    assert deltas(chunks) == [{"role": "assistant", "content": "", "refusal": None}, {"content": "So."}, {}]


def calls_of(message: Json) -> list[tuple[str, str, str, str]]:
    return [
        (call["type"], call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]


@settings(max_examples=30)
@given(messages())
def test_the_chunks_add_up_to_the_whole_answer(message: Json) -> None:
    choice = stream(include_usage=True)
    chunks = checked(chunks_of(choice.feed_all(stream_of(message)) + choice.end()))
    whole = encode_message(message, id="chatcmpl-1", created=1_795_000_000, tool_names=TOOL_NAMES)
    added = accumulated(chunks)
    ours, theirs = whole["choices"][0], added["choices"][0]
    assert theirs["finish_reason"] == ours["finish_reason"]
    assert theirs["message"]["role"] == "assistant"
    assert theirs["message"]["content"] == (ours["message"]["content"] or "")
    for name in ("refusal", "reasoning_content"):
        assert theirs["message"].get(name) == ours["message"].get(name)
    assert calls_of(theirs["message"]) == calls_of(ours["message"])
    assert added["usage"] == whole["usage"]


RECORDED = [
    START,
    {"type": "ping"},
    *text("Grüße, ", "世界 🎈\n", "\u2028"),
    *call("", '{"path": "ü', '.py"}', index=1),
    *finish("tool_use"),
]


def wire(events: list[Json], end: bytes = b"\n") -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in events).replace(
        b"\n", end
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_stream_cut_at_any_byte_gives_the_same_chunks(end: bytes) -> None:
    upstream = wire(RECORDED, end)
    whole = b"".join(map(stream().feed, RECORDED))
    for cut in range(len(upstream) + 1):
        splitter, choice = EventSplitter(), stream()
        parts = (upstream[:cut], upstream[cut:])
        assert b"".join(choice.feed_all(splitter.take(part) or ()) for part in parts) == whole


@given(messages(), st.lists(st.integers(0, 3000), max_size=6), st.sampled_from([b"\n", b"\r\n"]))
def test_any_answer_cut_anyhow_gives_the_same_chunks(message: Json, cuts: list[int], end: bytes) -> None:
    events = stream_of(message)
    upstream = b"".join(event.raw for event in events).replace(b"\n", end)
    edges = [0, *sorted(min(cut, len(upstream)) for cut in cuts), len(upstream)]
    splitter, choice = EventSplitter(), stream()
    chunks = b"".join(choice.feed_all(splitter.take(upstream[start:stop]) or ()) for start, stop in pairwise(edges))
    assert chunks == stream().feed_all(events)


def test_comments_are_skipped_and_what_is_not_json_is_a_broken_answer() -> None:
    choice = stream()
    assert choice.feed_all([ServerSentEvent(b"", b"", b": ping\n\n")]) == b""
    with pytest.raises(GatewayError, match="Claude's answer makes no sense") as caught:
        choice.feed_all([ServerSentEvent(b"", b"{", b"data: {\n\n")])
    assert caught.value.status == 502


def test_several_choices_end_once_with_the_usage_of_all() -> None:
    choices = [stream(index=index, include_usage=True) for index in range(3)]
    answer = b"".join(choice.feed(event) for event in [START, *text("Hi"), *finish()] for choice in choices)
    *chunks, last = checked(chunks_of(answer + end_of(choices)))
    assert {chunk["choices"][0]["index"] for chunk in chunks} == {0, 1, 2}
    assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (45, 21)
    assert [choice["message"]["content"] for choice in accumulated([*chunks, last])["choices"]] == ["Hi"] * 3


@pytest.fixture
def client_of() -> Callable[[bytes], openai.OpenAI]:
    """The real SDK in front of canned bytes."""

    def make(answer: bytes) -> openai.OpenAI:
        def respond(_: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=answer)

        transport = httpx2.Client(transport=httpx2.MockTransport(respond))
        return openai.OpenAI(api_key="x", base_url="http://cgw.test", http_client=transport)

    return make


def test_an_error_in_mid_stream_is_raised_by_the_sdk(client_of: Callable[[bytes], openai.OpenAI]) -> None:
    choice = stream()
    answer = b"".join(map(choice.feed, [START, *text("Hi")]))
    answer += error_chunk(GatewayError("overloaded_error", "Overloaded"))
    events = client_of(answer).chat.completions.create(model="opus", messages=[], stream=True)
    seen: list[str | None] = []
    with pytest.raises(openai.APIError, match="Overloaded") as caught:
        seen.extend(chunk.choices[0].delta.content for chunk in events)
    assert seen == ["", "Hi"]
    assert (caught.value.type, caught.value.code) == ("overloaded_error", "overloaded")


def test_an_answer_that_failed_never_says_that_it_is_done() -> None:
    failed = told(error_chunk(GatewayError("api_error", "broken")))
    assert [orjson.loads(event).keys() for event in failed] == [{"error"}]


def test_the_sdks_own_stream_helper_reads_the_answer(client_of: Callable[[bytes], openai.OpenAI]) -> None:
    choice = stream(include_usage=True)
    answer = b"".join(map(choice.feed, [START, *text("Hi"), *call('{"a":1}', index=1), *finish("tool_use")]))
    with client_of(answer + choice.end()).chat.completions.stream(model="opus", messages=[]) as events:
        completion = events.get_final_completion()
    (told_choice,) = completion.choices
    assert told_choice.message.content == "Hi"
    assert told_choice.message.tool_calls is not None
    assert told_choice.message.tool_calls[0].function.arguments == '{"a":1}'
    assert completion.usage is not None
    assert completion.usage.total_tokens == 22


FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def opened() -> ChatStream:
    """With a tool call at index 1, a custom one at 2, and none at 3."""
    choice = stream(custom_tools=["free"])
    choice.feed(START)
    for index, name in enumerate(("read", "free"), start=1):
        call = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
        choice.feed({"type": "content_block_start", "index": index, "content_block": call})
    return choice


def cited_text(choice: ChatStream) -> bytes:
    """A block whose citation says where in the text it stands."""
    page = {"type": "web_search_result_location", "url": "https://a.example/", "title": "A"}
    return b"".join(
        choice.feed(event)
        for event in (
            {"type": "content_block_start", "index": 9, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta", "text": "It is."}},
            {"type": "content_block_delta", "index": 9, "delta": {"type": "citations_delta", "citation": page}},
            {"type": "content_block_stop", "index": 9},
        )
    )


def wired(kind: str, index: int, content: str, ascii_only: bool, padding: str) -> bytes:
    delta = json.dumps({"type": kind, FIELDS[kind]: content}, separators=(",", ":"), ensure_ascii=ascii_only)
    data = f'{{"type":"content_block_delta","index":{index},"delta":{delta}{padding}}}'
    return f"event: content_block_delta\ndata: {data}\n\n".encode()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*FIELDS]),
            st.integers(0, 3),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            st.booleans(),
            st.sampled_from(["", "   "]),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 1),
)
def test_deltas_that_are_not_parsed_say_what_parsed_ones_say(
    deltas: list[tuple[str, int, str, bool, str]], among: int
) -> None:
    raw = b"".join(wired(*one) for one in deltas)
    if among:
        stop = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":1}\n\n'
        raw = b": comment\n\n" * among + raw + stop * among
    together, one_by_one = opened(), opened()
    chunks = together.feed_all(Events(raw)) + cited_text(together) + together.end()
    parsed = one_by_one.feed_all(EventSplitter().feed(raw)) + cited_text(one_by_one) + one_by_one.end()
    assert chunks_of(chunks) == chunks_of(parsed)


@pytest.mark.parametrize("text", [rb"half \ud83d of one", b"\xff", b"a \t b", rb"\x41", b"\xed\xa0\x80"], ids=repr)
def test_a_text_that_is_none_is_never_passed_on(text: bytes) -> None:
    good = wired("text_delta", 0, "fine", False, "")
    raw = good + good.replace(b"fine", text)
    with pytest.raises(GatewayError, match="makes no sense"):
        opened().feed_all(Events(raw))
