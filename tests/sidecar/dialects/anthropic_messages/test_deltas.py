import orjson
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.anthropic_messages import delta_size, deltas_size
from sidecar.sse import raw_of
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
