import json
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import incoming
from sidecar.dialects.anthropic_messages import plain_events, stream_of
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.fold import SPELLED, MessageFold
from sidecar.sse import Events, EventSplitter, raw_of
from tests.support.events import block_start, block_stop, sse
from tests.support.messages import messages

MESSAGE_START = sse("message_start", message={"id": "msg_1", "content": [], "usage": {"input_tokens": 3}})
OPENED = raw_of([MESSAGE_START, *(block_start("text", index) for index in range(3))])
CLOSED = raw_of([*(block_stop(index) for index in range(3)), sse("message_stop")])


def folded(*batches: Events | None) -> Json:
    folding = MessageFold()
    for batch in batches:
        incoming.fold(folding, batch or ())
    return folding.message


def one_by_one(stream: bytes) -> Json:
    folding = MessageFold()
    incoming.fold(folding, EventSplitter().feed(stream))
    return folding.message


@given(messages(), st.lists(st.integers(0, 3000), max_size=5), st.sampled_from([b"\n", b"\r\n"]))
def test_what_came_together_folds_to_the_message_wherever_the_network_cut_it(
    message: Json, cuts: list[int], end: bytes
) -> None:
    stream = raw_of(stream_of(message)).replace(b"\n", end)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    splitter = EventSplitter()
    assert folded(*(splitter.take(stream[start:stop]) for start, stop in pairwise(edges))) == message


def delta(kind: str, index: int, text: str, ascii_only: bool) -> bytes:
    wire = {"type": "content_block_delta", "index": index, "delta": {"type": kind, SPELLED[kind]: text}}
    spelled = json.dumps(wire, separators=(",", ":"), ensure_ascii=ascii_only)
    return b"event: content_block_delta\ndata: %b\n\n" % spelled.encode()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
OTHERS = st.sampled_from([b": comment\n\n", block_stop(7).raw, b"id: 7\n" + block_stop(1).raw, b"event:  x\n" + CLOSED])
DELTAS = st.lists(st.builds(delta, st.sampled_from([*SPELLED]), st.integers(0, 2), TEXT, st.booleans()), max_size=6)


@given(DELTAS, st.lists(OTHERS, max_size=3), st.randoms(use_true_random=False))
def test_events_that_are_read_together_fold_to_what_each_of_them_says(
    deltas: list[bytes], others: list[bytes], order: random.Random
) -> None:
    events = deltas + others
    order.shuffle(events)
    stream = OPENED + b"".join(events) + CLOSED
    assert folded(Events(stream)) == one_by_one(stream)


LINES = st.sampled_from(
    [b"\n", b"\n\n", b"event: x", b"event:", b"data: {}", b"data: []", b": ", b"\r", b"y", block_stop().raw]
)


@given(st.lists(LINES, max_size=12).map(b"".join))
def test_events_are_plain_only_where_all_of_them_are_read(stream: bytes) -> None:
    splitter = EventSplitter()
    events = splitter.feed(stream)
    if (plain := plain_events(stream)) is not None:
        assert [data for *_, data in plain] == [event.data for event in events]
        assert not splitter.rest


@pytest.mark.parametrize("text", [rb"half \ud83d of one", b"\xff", b"a \t b", rb"\x41", b"\xed\xa0\x80"], ids=repr)
def test_a_text_that_is_none_is_never_folded(text: bytes) -> None:
    good = delta("text_delta", 0, "fine", ascii_only=False)
    with pytest.raises(GatewayError, match="makes no sense"):
        folded(Events(OPENED + good + good.replace(b"fine", text) + CLOSED))


@pytest.mark.parametrize("beside", [b"", b": comment\n\n"], ids=["plain", "one by one"])
@pytest.mark.parametrize("odd", [b"{", b"[]", b"null"], ids=repr)
def test_an_event_that_is_no_json_object_is_called_just_that(odd: bytes, beside: bytes) -> None:
    with pytest.raises(GatewayError, match="no JSON object"):
        folded(Events(OPENED + beside + b"event: x\ndata: " + odd + b"\n\n" + CLOSED))


def test_deltas_of_a_block_that_never_began_are_an_answer_that_broke() -> None:
    with pytest.raises(GatewayError, match="before its beginning"):
        folded(Events(OPENED + delta("text_delta", 9, "lost", ascii_only=True)))


@pytest.mark.parametrize("beside", [b"", b": comment\n\n"], ids=["plain", "one by one"])
def test_who_writes_into_its_answer_changes_nobody_elses(beside: bytes) -> None:
    found = sse("content_block_start", index=3, content_block={"type": "web_search_tool_result", "content": [{}]})
    shared = Events(OPENED + beside + found.raw + CLOSED)
    before = folded(shared)
    folded(shared)["content"][3]["content"][0]["url"] = "https://example.com"
    assert folded(shared) == before
    assert before["content"][3]["content"] == [{}]


def test_an_event_is_parsed_once_for_all_who_ask() -> None:
    (event,) = Events(MESSAGE_START.raw)
    assert incoming.parse(event) is incoming.parse(event)
