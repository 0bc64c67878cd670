"""Hypothesis strategies for Claude's answers."""

from __future__ import annotations

import typing

import orjson
from anthropic.types import StopReason
from hypothesis import strategies as st

from sidecar.exchange import Json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
STOP_REASONS: tuple[str, ...] = typing.get_args(StopReason)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=3,
).map(lambda value: orjson.loads(orjson.dumps(value)))

CITATIONS = st.fixed_dictionaries(
    {
        "type": st.just("char_location"),
        "cited_text": TEXT,
        "document_index": st.integers(0, 3),
        "document_title": st.none() | TEXT,
        "start_char_index": st.integers(0, 9),
        "end_char_index": st.integers(10, 99),
        "file_id": st.none(),
    }
)

NAMES = st.sampled_from(["read_file", "run", "mcp__files__list", "renamed_1a2b"])


def _input() -> st.SearchStrategy[Json]:
    return st.dictionaries(TEXT, JSON_VALUES, max_size=3)


TEXT_BLOCKS = st.fixed_dictionaries(
    {"type": st.just("text"), "text": TEXT}, optional={"citations": st.none() | st.lists(CITATIONS, max_size=2)}
)
THINKING_BLOCKS = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXT, "signature": TEXT})
REDACTED_BLOCKS = st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": TEXT})
TOOL_BLOCKS = st.fixed_dictionaries(
    {
        "type": st.just("tool_use"),
        "id": st.uuids(version=4).map(lambda value: f"toolu_{value.hex}"),
        "name": NAMES,
        "input": _input(),
    },
    optional={"caller": st.just({"type": "direct"})},
)
SERVER_TOOL_BLOCKS = st.fixed_dictionaries(
    {
        "type": st.just("server_tool_use"),
        "id": st.just("srvtoolu_1"),
        "name": st.just("web_search"),
        "input": _input(),
    }
)
SEARCH_RESULT_BLOCKS = st.fixed_dictionaries(
    {"type": st.just("web_search_tool_result"), "tool_use_id": st.just("srvtoolu_1"), "content": st.just([])}
)
BLOCKS_OF_TOMORROW = st.fixed_dictionaries({"type": st.just("block_of_tomorrow"), "hologram": JSON_VALUES})

COUNT = st.integers(0, 10**6)


@st.composite
def usages(draw: st.DrawFn) -> Json:
    five_minutes, one_hour, output = draw(COUNT), draw(COUNT), draw(COUNT)
    return {
        "input_tokens": draw(COUNT),
        "cache_read_input_tokens": draw(COUNT),
        "cache_creation_input_tokens": five_minutes + one_hour,
        "cache_creation": {"ephemeral_5m_input_tokens": five_minutes, "ephemeral_1h_input_tokens": one_hour},
        "output_tokens": output,
        "output_tokens_details": draw(st.none() | st.fixed_dictionaries({"thinking_tokens": st.integers(0, output)})),
        "server_tool_use": None,
        "service_tier": "standard",
    }


@st.composite
def messages(draw: st.DrawFn) -> Json:
    """Complete messages, with every kind of block and every stop reason."""
    blocks = (
        TEXT_BLOCKS
        | THINKING_BLOCKS
        | REDACTED_BLOCKS
        | TOOL_BLOCKS
        | SERVER_TOOL_BLOCKS
        | SEARCH_RESULT_BLOCKS
        | BLOCKS_OF_TOMORROW
    )
    stop_reason = draw(st.sampled_from(STOP_REASONS))
    refusal = {"type": "refusal", "category": draw(st.none() | st.just("cyber")), "explanation": draw(st.none() | TEXT)}
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "container": None,
        "content": draw(st.lists(blocks, max_size=6)),
        "stop_reason": stop_reason,
        "stop_sequence": draw(TEXT) if stop_reason == "stop_sequence" else None,
        "stop_details": refusal if stop_reason == "refusal" else None,
        "usage": draw(usages()),
    }
