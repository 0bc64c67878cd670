import orjson
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.anthropic_messages import TEXT_FIELD, delta_size, deltas_size, plain_deltas, plain_texts
from sidecar.sse import EventSplitter, raw_of
from tests.support.events import block_stop, sse
from tests.support.messages import TEXT

CARRIERS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def wire(delta: dict[str, str]) -> bytes:
    return orjson.dumps({"type": "content_block_delta", "index": 0, "delta": delta})


@given(st.sampled_from(list(CARRIERS)), TEXT)
def test_the_size_of_a_delta_is_that_of_its_content_as_json_spells_it(kind: str, content: str) -> None:
    assert delta_size(wire({"type": kind, CARRIERS[kind]: content})) == len(orjson.dumps(content)) - len('""')


@given(TEXT)
def test_a_signature_is_no_output(signature: str) -> None:
    assert delta_size(wire({"type": "signature_delta", "signature": signature})) == 0


@given(st.lists(st.tuples(st.sampled_from([*CARRIERS]), TEXT), min_size=1))
def test_deltas_that_come_together_are_as_large_as_one_by_one(deltas: list[tuple[str, str]]) -> None:
    events = [
        sse("content_block_delta", index=0, delta={"type": kind, CARRIERS[kind]: content}) for kind, content in deltas
    ]
    assert deltas_size(raw_of(events)) == sum(delta_size(event.data) for event in events)
    other = [sse("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"}), block_stop()]
    assert all(deltas_size(raw_of([*events, one])) is None for one in other)


DELTAS = st.builds(
    lambda kind, index, text: (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
        % (index, orjson.dumps({"type": kind, CARRIERS[kind]: text}))
    ),
    st.sampled_from([*CARRIERS]),
    st.integers(0, 2),
    TEXT,
)
ODD = st.sampled_from([b"x", b"data: ", b"id: 7\n", b": c\n\n", b"\n", b"\r", block_stop().raw, b"\xff"])


@given(st.lists(DELTAS | ODD, max_size=5).map(b"".join))
def test_deltas_are_plain_only_where_each_of_them_says_the_same_by_itself(raw: bytes) -> None:
    splitter = EventSplitter()
    told = [event.data for event in splitter.feed(raw)]
    texts, found = plain_texts(raw), plain_deltas(raw)
    if texts is not None:
        assert found is not None
        assert texts == [text for _, _, text in found]
        assert {kind for _, kind, _ in found} == {TEXT_FIELD}
    if found is not None:
        assert not splitter.rest
        again = [b'{"type":"content_block_delta","index":%b,"delta":{"type":"%b":%b}}' % one for one in found]
        assert [orjson.loads(data) for data in again] == [orjson.loads(data) for data in told]
        assert deltas_size(raw) == sum(delta_size(data) for data in told)
