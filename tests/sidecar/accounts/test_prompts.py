"""What is learned from answers, and how it serves prompts that nobody counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.accounts.prompts import CONVERSATIONS, Prompts
from sidecar.exchange import Exchange, Usage
from sidecar.tokens.estimator import TokenEstimator
from tests.support.exchanges import an_exchange

WORDS = "the quick brown fox jumps over the lazy dog and runs home "


def asked(times: int, tokens: int = 0, **fields: Any) -> Exchange:
    """A prompt of `times` sentences, and the tokens that usage gave it."""
    messages = [{"role": "user", "content": WORDS * times}]
    usage = Usage(input_tokens=tokens // 2, cache_read_tokens=tokens - tokens // 2)
    return an_exchange(request={"messages": messages}, usage=usage, **{"conversation": "c"} | fields)


@pytest.fixture
def prompts() -> Prompts:
    return Prompts(TokenEstimator(), share=1)


async def learn(prompts: Prompts, exchange: Exchange) -> None:
    prompts.learn(exchange)
    await prompts.close()


async def test_a_conversation_s_next_prompt_is_what_the_last_one_was_and_what_was_added(prompts: Prompts) -> None:
    await learn(prompts, asked(100, 2000))
    assert prompts.tokens(asked(100)) == 2000
    assert prompts.tokens(asked(101)) == pytest.approx(2020, rel=0.002)


async def test_other_conversations_profit_by_the_scale_of_model_and_project(prompts: Prompts) -> None:
    before = prompts.tokens(asked(100, conversation="d"))
    for conversation in "abc":
        await learn(prompts, asked(100, 2 * before, conversation=conversation))
    assert prompts.tokens(asked(100, conversation="d")) == pytest.approx(2 * before, rel=0.25)
    for stranger in (asked(100, project="q"), asked(100, model="claude-opus-5-5")):
        assert prompts.tokens(stranger) == pytest.approx(before, rel=0.01)


async def test_a_prompt_that_grew_little_is_not_counted_again(prompts: Prompts) -> None:
    await learn(prompts, asked(100, 2000))
    await learn(prompts, asked(100, 2100))
    assert prompts.tokens(asked(100)) == 2000
    await learn(prompts, asked(100, 2300))
    assert prompts.tokens(asked(100)) == 2300


async def test_a_prompt_with_what_the_web_said_teaches_nothing(prompts: Prompts) -> None:
    before = prompts.tokens(asked(100))
    searched = asked(100, 3 * before)
    searched.usage.web_searches = 1
    await learn(prompts, searched)
    assert prompts.tokens(asked(100)) == before


async def test_one_prompt_at_a_time_is_learned_from(prompts: Prompts) -> None:
    prompts.learn(asked(100, 2000))
    prompts.learn(asked(100, 4000, conversation="d"))
    await prompts.close()
    assert prompts.tokens(asked(100)) == 2000
    assert prompts.tokens(asked(100, conversation="d")) != 4000


async def test_only_so_many_conversations_are_remembered(prompts: Prompts) -> None:
    for number in range(CONVERSATIONS + 1):
        await learn(prompts, asked(1, 20, conversation=str(number)))
    assert len(prompts._anchors) == CONVERSATIONS


@given(request=st.dictionaries(st.sampled_from(["messages", "system", "tools"]), st.integers() | st.text(max_size=3)))
async def test_a_request_that_cannot_be_counted_harms_nobody(request: dict[str, Any]) -> None:
    prompts = Prompts(TokenEstimator())
    odd = asked(1, 100)
    odd.request = request
    await learn(prompts, odd)
    await learn(prompts, asked(100, 2000))
    assert prompts.tokens(asked(100)) > 0


async def test_a_crowd_of_prompts_is_not_learned_from_one_by_one() -> None:
    prompts = Prompts(TokenEstimator(), share=1e-9)
    await learn(prompts, asked(100, 2000))
    await learn(prompts, asked(100, 4000, conversation="d"))
    assert prompts.tokens(asked(100)) == pytest.approx(2000, rel=0.01)


async def test_a_long_prompt_is_counted_in_pieces_and_nobody_who_waits_for_it_waits_for_its_rests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidecar.accounts.prompts.LONGEST_REST", 3600)
    prompts = Prompts(TokenEstimator(), share=1e-9)
    long = asked(1, 900)
    said = [WORDS * 3 * number for number in range(60)]
    long.request = {"messages": [{"role": "user", "content": text} for text in said]}
    await learn(prompts, long)
    assert prompts.tokens(long) == pytest.approx(900, rel=0.01)
