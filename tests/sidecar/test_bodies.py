"""Bodies read only as far as they are new: always what reading all of them would give."""

import json
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.bodies import LONGEST_SCANNED, SHORTEST, Bodies, _common_bytes
from sidecar.conversation import flattened
from sidecar.replies.request_key import _shape
from tests.support.exchanges import an_exchange

FILLING = "as it was said before " * (SHORTEST // 20)
always = settings(max_examples=200, deadline=None)

texts = st.text('ab"\\{}[], \n\u2028é', max_size=12) | st.sampled_from(
    ['},{"role":', '"messages":[', "\\", '\\"', "]}"]
)
blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda text: {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}, texts),
    st.builds(lambda name, text: {"type": "tool_use", "id": "t", "name": "n", "input": {name: text}}, texts, texts),
    st.builds(lambda text: {"type": "tool_result", "tool_use_id": "t", "content": text}, texts),
    st.just({"input": {"messages": [{"role": "user"}, {"role": "user"}]}, "type": "tool_use", "id": "u", "name": "n"}),
)
messages = st.builds(
    lambda role, content, turned: {"content": content, "role": role} if turned else {"role": role, "content": content},
    st.sampled_from(["user", "assistant"]),
    texts | st.lists(blocks, max_size=3),
    st.booleans(),
)
heads = st.sampled_from([{"model": "m"}, {"model": "m", "tools": [{"name": "messages", "input_schema": {}}]}])
marked = {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}
tails = st.sampled_from(
    [
        {},
        {"stream": True},
        {"tools": [{"name": "t"}]},
        {"system": "be brief", "metadata": {"a": 1}},
        {"system": [marked], "tools": [{"name": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
    ]
)
writers: st.SearchStrategy[Callable[[Any], bytes]] = st.sampled_from(
    [orjson.dumps, lambda wire: json.dumps(wire).encode(), lambda wire: json.dumps(wire, indent=1).encode()]
)


@st.composite
def conversations(draw: st.DrawFn, rows: Sequence[str] = ("messages", "input")) -> list[bytes]:
    """Bodies that go on from one another, go back, and begin anew, written in one way or in another."""
    said = [{"role": "user", "content": FILLING}]
    head, tail, write, row = draw(heads), draw(tails), draw(writers), draw(st.sampled_from(rows))
    bodies = []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            said = said[: draw(st.integers(1, len(said)))]
        said = [*said, *draw(st.lists(messages, max_size=4))]
        if not draw(st.integers(0, 4)):
            head, tail, write = draw(heads), draw(tails), draw(writers)
        bodies.append(write({**head, row: said, **tail}))
    return bodies


@always
@given(conversations())
def test_whatever_is_remembered_a_body_is_what_reading_all_of_it_gives(conversation: list[bytes]) -> None:
    bodies = Bodies()
    for raw in conversation:
        assert orjson.dumps(bodies.read("web", raw).wire) == orjson.dumps(orjson.loads(raw))


@always
@given(conversations(), st.data())
def test_what_is_no_json_is_refused_with_the_same_words(conversation: list[bytes], data: st.DataObject) -> None:
    bodies = Bodies()
    for raw in conversation:
        bodies.read("web", raw)
    raw = conversation[-1]
    at = data.draw(st.integers(max(0, len(raw) - 200), len(raw)))
    put = data.draw(
        st.sampled_from([b"", b"]", b"],[", b",", b'],"x":[', b'],"messages":["', b'"', b"\xff", b"{", b"}"])
    )
    broken = raw[:at] + put + raw[at + data.draw(st.integers(0, 3)) :]
    assert _told(bodies.read, "web", broken) == _told(lambda _, raw: orjson.loads(raw), "web", broken)


def _told(read: Callable[[str, bytes], Any], project: str, raw: bytes) -> Any:
    try:
        found = read(project, raw)
        return orjson.dumps(getattr(found, "wire", found))
    except orjson.JSONDecodeError as error:
        return str(error)


@always
@given(conversations(["messages"]))
def test_positions_and_shapes_are_the_same_with_and_without_what_is_known(conversation: list[bytes]) -> None:
    bodies = Bodies()
    for raw in conversation:
        read = bodies.read("web", raw)
        before, known = (read.known.made.flat, read.known.messages) if read.known else (None, 0)
        flat = flattened(read.wire, "web", before, known)
        assert flat == flattened(orjson.loads(raw), "web")
        exchange = an_exchange(request=read.wire, known=read.known, made=read.made)
        assert _shape(exchange) == _shape(an_exchange(request=orjson.loads(raw)))
        if read.made is not None:
            read.made.flat = flat


@always
@given(st.binary(max_size=400), st.binary(max_size=3), st.binary(max_size=3), st.integers(0, 500))
def test_wherever_the_comparing_begins_it_finds_how_many_bytes_are_the_same(
    same: bytes, one: bytes, other: bytes, likely: int
) -> None:
    one, other = same + one, same + other
    whole = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    assert _common_bytes(one, other, likely) == whole


def conversation(*said: str, **fields: Any) -> bytes:
    roles = ("user", "assistant")
    told = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
    return orjson.dumps({"model": "m", **fields, "messages": told, "max_tokens": 1})


def known_of(bodies: Bodies, raw: bytes, project: str = "web") -> int:
    known = bodies.read(project, raw).known
    return known.messages if known is not None else 0


def test_the_next_turn_knows_all_of_the_last() -> None:
    bodies = Bodies()
    bodies.read("web", conversation(FILLING))
    assert known_of(bodies, conversation(FILLING, "yes", "go on")) == 1
    assert known_of(bodies, conversation(FILLING, "yes", "go on", "done", "more")) == 3
    assert len(bodies) == 1


def test_a_last_message_that_changed_is_read_anew() -> None:
    bodies = Bodies()
    bodies.read("web", conversation(FILLING, "yes", "go on"))
    assert known_of(bodies, conversation(FILLING, "yes", "go back")) == 2


def test_tools_behind_the_messages_may_change() -> None:
    bodies = Bodies()
    bodies.read("web", conversation(FILLING, "yes", "go on"))
    read = bodies.read("web", conversation(FILLING, "yes", "go on", "done", "more")[:-1] + b',"tools":[{"name":"t"}]}')
    assert read.known is not None
    assert (read.known.messages, read.known.beside) == (3, False)
    assert read.wire["tools"] == [{"name": "t"}]


def test_projects_know_nothing_of_each_other() -> None:
    bodies = Bodies()
    bodies.read("web", conversation(FILLING))
    assert known_of(bodies, conversation(FILLING, "yes", "go on"), "app") == 0


def test_dialects_know_nothing_of_each_other() -> None:
    """What is a turn of its own to the one is a part of a turn to the other."""
    bodies = Bodies()
    bodies.read("web", conversation(FILLING), dialect="openai_chat")
    assert known_of(bodies, conversation(FILLING, "yes", "go on")) == 0


def test_items_of_the_responses_api_are_known_again_whatever_they_begin_with() -> None:
    part = {"type": "input_text", "text": FILLING}
    said = {"type": "message", "role": "user", "content": [part]}
    items = [said, {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}, {"id": "x", **said}]
    bodies = Bodies()
    for end in range(1, 4):
        read = bodies.read("web", orjson.dumps({"model": "m", "tools": [], "input": items[:end], "store": False}))
        known, made = read.of("input")
        assert (known.messages if known else 0) == end - 1
        assert made is not None
        assert read.of("messages") == (None, None)


def test_completing_a_request_changes_nothing_that_is_remembered() -> None:
    bodies = Bodies()
    bodies.read("web", conversation(FILLING)).wire["model"] = "another"
    wire = bodies.read("web", conversation(FILLING, "yes", "go on")).wire
    wire["messages"].append("more")
    assert bodies.read("web", conversation(FILLING, "yes", "go on")).wire == orjson.loads(
        conversation(FILLING, "yes", "go on")
    )


def test_memory_is_bounded_and_the_newest_stay() -> None:
    bodies = Bodies(most_memory=20 * len(FILLING))
    for number in range(30):
        bodies.read("web", conversation(f"{number} {FILLING}"))
        assert bodies.memory <= 20 * len(FILLING)
    assert known_of(bodies, conversation(f"29 {FILLING}", "yes", "go on")) == 1
    assert known_of(bodies, conversation(f"0 {FILLING}", "yes", "go on")) == 0


@pytest.mark.parametrize("size", [SHORTEST, 2 * LONGEST_SCANNED])
def test_messages_may_open_with_either_key_and_hold_what_looks_like_one(size: int) -> None:
    said: list[Any] = [
        {"content": "x" * size, "role": "user"},
        {"role": "assistant", "content": '},{"role":"user"'},
        {"role": "user", "content": "go on"},
    ]
    bodies = Bodies()
    bodies.read("web", orjson.dumps({"model": "m", "messages": said[:1]}))
    assert known_of(bodies, orjson.dumps({"model": "m", "messages": said})) == 1


def test_an_escaped_key_deceives_nobody() -> None:
    long = "x" * 2 * LONGEST_SCANNED
    nested = b'{"r\\u006fle":"user","content":[{"a":[{"b":1},{"role":"user"}],"type":"tool_use"}]}'
    raw = b'{"messages":[{"role":"user","content":"%b"},%b],"model":"m"}' % (long.encode(), nested)
    bodies = Bodies()
    bodies.read("web", raw)
    longer = raw.replace(b'],"model"', b',{"role":"user","content":"go on"}],"model"')
    assert bodies.read("web", longer).wire == orjson.loads(longer)
