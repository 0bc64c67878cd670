"""What is kept of Claude's thinking, and when a turn that comes back is the one it belongs to."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.exchange import Json
from sidecar.thinking import (
    CorruptThinkingError,
    KeptThinking,
    ends_alike,
    holds_thinking,
    thinking_in,
    turn_digest,
)
from tests.support.messages import JSON_VALUES, TEXT
from tests.support.thorough import examples

CALL = {"type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {"path": "a.py", "lines": [1, 2]}}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def thinking(words: str = "", signature: str = "c2ln") -> Json:
    return {"type": "thinking", "thinking": words, "signature": signature}


REDACTED = {"type": "redacted_thinking", "data": "b3BhcXVl"}

thoughts = st.builds(thinking, TEXT, st.text("abc", min_size=1)) | st.just(REDACTED)
calls = st.builds(lambda value: {**CALL, "input": {"value": value}}, JSON_VALUES)
blocks = st.lists(thoughts | st.builds(text, TEXT) | calls, max_size=7)


@settings(max_examples=examples(80), deadline=None)
@given(blocks)
def test_put_in_front_of_what_a_client_keeps_thinking_makes_the_answer_again(content: list[Json]) -> None:
    kept = [block for block in content if block["type"] == "tool_use" or str(block.get("text") or "").strip()]
    ahead = thinking_in({"content": content})
    if ahead is None:
        return
    assert turn_digest(content) == turn_digest(kept)
    woven: list[Json] = []
    before = dict(ahead)
    for number, block in enumerate(kept):
        woven += [*before.get(number, ()), block]
    assert woven == [block for block in content if block["type"] != "text" or str(block["text"]).strip()]


@settings(max_examples=examples(60), deadline=None)
@given(blocks, st.integers(0, 10**6), st.floats(1.5, 6))
def test_what_is_kept_comes_back_as_it_was(content: list[Json], tokens: int, scale: float) -> None:
    if (ahead := thinking_in({"content": content})) is None:
        return
    kept = KeptThinking(project="web", model="m", at=1.5, turn=turn_digest(content), ahead=ahead, tokens=tokens)
    assert KeptThinking.from_bytes(kept.to_bytes()) == kept
    sizes = kept.sizes(scale)
    assert len(sizes) == len(ahead)
    if tokens:
        assert abs(sum(sizes) - tokens * scale) <= len(sizes)


@pytest.mark.parametrize("kept", [b"", b"7", b"{}", b'{"ahead": 7}', b'{"ahead": [], "of": "tomorrow"}'])
def test_what_is_no_thinking_is_told(kept: bytes) -> None:
    with pytest.raises(CorruptThinkingError):
        KeptThinking.from_bytes(kept)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([text("a")], "there is none"),
        ([thinking()], "nothing stands behind it"),
        ([thinking(), text("\n\n")], "nothing that may be sent stands behind it"),
        ([thinking(), text("a"), thinking()], "some stands at the end, where Claude takes none"),
        ([thinking(signature=""), text("a")], "it is not signed"),
        ([{"type": "redacted_thinking", "data": ""}, text("a")], "it is not signed"),
    ],
)
def test_some_thinking_cannot_be_given_back(content: list[Json], why: str) -> None:
    assert thinking_in({"content": content}) is None, why


@pytest.mark.parametrize(
    "other",
    [
        [text("a "), CALL],
        [text("a")],
        [CALL, text("a")],
        [text("a"), {**CALL, "id": "toolu_2"}],
        [text("a"), {**CALL, "name": "write_file"}],
        [text("a"), {**CALL, "input": {"lines": [1, 2], "path": "a.py"}}],
        [text("a"), CALL, CALL],
    ],
)
def test_a_turn_that_differs_is_another_one(other: list[Json]) -> None:
    assert turn_digest(other) != turn_digest([thinking(), text("a"), CALL])


def test_what_only_claude_adds_to_its_blocks_makes_no_other_turn() -> None:
    said = [{**text("a"), "citations": None}, {**CALL, "caller": {"type": "direct"}}]
    marked = {**CALL, "cache_control": {"type": "ephemeral"}}
    assert turn_digest(said) == turn_digest([text("a"), marked])


@pytest.mark.parametrize(
    ("block", "holds"),
    [
        (thinking("hm"), True),
        (REDACTED, True),
        (text('I say {"type":"thinking","thinking":""}'), False),
        ({**CALL, "input": {"path": '"redacted_thinking"'}}, False),
    ],
)
def test_a_look_tells_whether_there_may_be_thinking(block: Json, holds: bool) -> None:
    assert holds_thinking(orjson.dumps({"content_block": block})) is holds


TASK: Any = {"role": "user", "content": "task"}
MARKED: Any = {"role": "user", "content": [{**text("task"), "cache_control": {"type": "ephemeral"}}]}


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ([TASK], True),
        ([MARKED], True),
        ([text("before"), MARKED][1:], True),
        ([{"role": "user", "content": [text("task"), text("Answer by calling a tool.")]}], False),
        ([TASK, {"role": "system", "content": [text("be brief")]}], False),
        ([{"role": "user", "content": "another"}], False),
    ],
)
def test_requests_end_alike_when_nothing_more_is_said_at_their_end(other: list[Any], alike: bool) -> None:
    before = [{"role": "user", "content": "old"}, {"role": "assistant", "content": "yes"}]
    assert ends_alike({"messages": [TASK]}, {"messages": [*before, *other]}) is alike


def test_system_text_says_the_same_in_tags() -> None:
    as_system = [TASK, {"role": "system", "content": [text("be brief")]}]
    tagged = [{"role": "user", "content": [text("task"), text("<system>\nbe brief\n</system>")]}]
    assert ends_alike({"messages": as_system}, {"messages": tagged})
