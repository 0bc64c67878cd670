from dataclasses import astuple
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.exchange import COUNTERS, MOST_TOKENS, TERMS, TOLD_AS, Usage
from tests.support.messages import JSON_VALUES

COUNTS = st.integers(0, 9_000)
SPLITS = st.fixed_dictionaries({}, optional={"ephemeral_5m_input_tokens": COUNTS, "ephemeral_1h_input_tokens": COUNTS})
USAGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys([*TOLD_AS.values(), "cache_creation_input_tokens"], COUNTS),
        "cache_creation": SPLITS,
        "output_tokens_details": st.fixed_dictionaries({}, optional={"thinking_tokens": COUNTS}),
        "server_tool_use": st.fixed_dictionaries({}, optional={"web_search_requests": COUNTS}),
        **dict.fromkeys(TERMS, st.sampled_from(["standard", "fast", "eu"])),
    },
)
NAMES = [*TOLD_AS.values(), "cache_creation_input_tokens", "cache_creation", "output_tokens_details", *TERMS]


def counted(*told: Any) -> Usage:
    usage = Usage()
    for one in told:
        usage.update(one)
    return usage


@given(st.lists(USAGES, min_size=1, max_size=3))
def test_the_last_word_on_each_counter_counts(told: list[dict[str, Any]]) -> None:
    usage = counted(*told)
    merged: dict[str, Any] = {}
    for one in told:
        merged |= one
    for counter, name in TOLD_AS.items():
        assert getattr(usage, counter) == merged.get(name, 0)
    for term in TERMS:
        assert getattr(usage, term) == merged.get(term)
    assert usage.web_searches == merged.get("server_tool_use", {}).get("web_search_requests", 0)
    if "cache_creation_input_tokens" in told[-1]:
        assert usage.cache_write_tokens == told[-1]["cache_creation_input_tokens"]
    assert usage.prompt_tokens == usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens


@given(USAGES, st.dictionaries(st.sampled_from(NAMES), JSON_VALUES) | JSON_VALUES)
def test_what_is_no_count_never_comes_into_the_accounts(good: dict[str, Any], odd: Any) -> None:
    usage = counted(good, odd)
    assert all(type(getattr(usage, name)) is int and 0 <= getattr(usage, name) <= MOST_TOKENS for name in COUNTERS)
    assert all(getattr(usage, term) is None or isinstance(getattr(usage, term), str) for term in TERMS)
    if not isinstance(odd, dict):
        assert astuple(usage) == astuple(counted(good))
