"""Token counts can be worked out by hand and add up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.simulator.models import find
from sidecar.simulator.prompt import render
from sidecar.simulator.tokens import TURN_TOKENS, block_tokens, fitting_text, text_tokens


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("a" * 27, 10), ("a" * 28, 11), ("ä" * 27, 20), ("日本", 3)]
)
def test_a_text_counts_a_token_for_every_two_point_seven_bytes(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


@given(st.text(), st.integers(0, 50))
def test_a_cut_text_is_a_beginning_that_fits(text: str, tokens: int) -> None:
    cut = fitting_text(text, tokens)
    assert text.startswith(cut)
    assert text_tokens(cut) <= tokens


BLOCKS: list[tuple[dict[str, Any], int]] = [
    ({"type": "text", "text": "a" * 27}, 10),
    ({"type": "tool_use", "id": "t", "name": "aaaaaaaaa", "input": {"a": "aaaaaaaaa"}}, 12 + 4 + 7),
    ({"type": "tool_result", "tool_use_id": "t", "content": "a" * 27}, 8 + 10),
    ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a" * 27}]}, 8 + 10),
    ({"type": "tool_result", "tool_use_id": "t"}, 8),
    ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, 1_200),
    ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 850}}, 74),
    ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a" * 27}}, 10),
]


@pytest.mark.parametrize(("block", "tokens"), BLOCKS)
def test_each_kind_of_block_counts_by_its_rule(block: dict[str, Any], tokens: int) -> None:
    assert block_tokens(block) == tokens


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(min_size=1)), min_size=1, max_size=8))
def test_a_prefix_counts_the_same_alone_as_within_a_longer_conversation(spoken: list[tuple[str, str]]) -> None:
    model = find("claude-opus-5-5")
    assert model is not None
    messages = [{"role": role, "content": text} for role, text in spoken]
    whole = render({"messages": messages}, model)
    for length in range(1, len(messages) + 1):
        part = render({"messages": messages[:length]}, model)
        assert [block.tokens for block in part] == [block.tokens for block in whole[:length]]


def test_the_first_tool_brings_the_models_overhead() -> None:
    tool = {"name": "read", "input_schema": {"type": "object"}}
    for model_id, overhead in (("claude-opus-5-5", 286), ("claude-sonnet-5", 354), ("claude-haiku-4-5", 496)):
        model = find(model_id)
        assert model is not None
        one, two = (render({"tools": [tool] * n, "messages": []}, model) for n in (1, 2))
        assert one[0].tokens == two[1].tokens + overhead


def test_messages_of_one_role_in_a_row_are_one_turn() -> None:
    model = find("claude-opus-5-5")
    assert model is not None
    split = render({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, model)
    assert [block.tokens for block in split] == [1 + TURN_TOKENS, 1]
