import orjson
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.anthropic_messages import delta_size
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
