"""A paused conversation is kept warm by one request, where the user wants it and it pays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import pytest

from sidecar.accounts.prices import Prices
from sidecar.conversation import positions_of
from sidecar.exchange import Exchange, Json, Usage
from sidecar.keep_warm import KeepWarm, idle_request
from sidecar.prompt import Prompt
from sidecar.simulator.thinking_rules import ResponseMemory
from sidecar.simulator.validation import validate
from tests.support.billed_talks import Claude
from tests.support.exchanges import SONNET, an_exchange
from tests.support.talks import assistant, call, result, user

MINUTE = 60.0
LONG = "x" * 60_000
ANSWER = {"type": "text", "text": "It is done."}


@pytest.fixture
async def claude(tmp_path: Path) -> AsyncIterator[Claude]:
    claude = Claude(tmp_path, keep_warm=True, test_clock=True)
    await claude.opened()
    await paused_often(claude)
    yield claude
    await asyncio.to_thread(claude.close)


async def paused_often(claude: Claude) -> None:
    """A client whose user comes back, most times."""
    messages = [user(LONG)]
    for number in range(12):
        await claude.ask({"messages": messages}, after=10 * MINUTE, conversation="before")
        messages = [*messages, assistant("well"), user(f"and {number}?")]


async def test_a_pause_of_half_an_hour_is_survived_by_one_request(claude: Claude) -> None:
    await claude.ask({"messages": [user(LONG)]})
    began, before = claude.now, claude.usage.prompt_tokens
    claude.answer(ANSWER)
    await claude.ask({"messages": [user(LONG), assistant("It is done."), user("thanks")]}, after=30 * MINUTE)
    [(moment, request)] = claude.own.asked
    assert moment == began + 280
    assert (request["max_tokens"], "stream" in request) == (0, False)
    assert claude.usage.cache_read_tokens > before


async def test_what_is_kept_warm_is_not_taken_for_cold(claude: Claude) -> None:
    """Or other layers would write the prompt anew that was just paid for."""
    cold = []
    for pause in (30, 90):
        name = f"c{pause}"
        await claude.ask({"messages": [user(f"{pause}{LONG}")]}, conversation=name)
        claude.answer(ANSWER)
        told = [user(f"{pause}{LONG}"), assistant("It is done."), user("thanks")]
        await claude.ask({"messages": told}, after=pause * MINUTE, conversation=name)
        assert claude.exchange.prompt is not None
        cold.append(claude.exchange.prompt.cold)
    assert cold == [False, True]


async def test_an_answer_that_goes_on_with_calls_is_kept_as_far_as_its_words_go(claude: Claude) -> None:
    use = call("t1", "read")
    await claude.ask({"messages": [user(LONG)]})
    before = claude.usage.prompt_tokens
    claude.answer(ANSWER, use)
    told = [user(LONG), assistant("It is done.", use), user(result("t1", "the file"))]
    await claude.ask({"messages": told}, after=20 * MINUTE)
    assert claude.usage.cache_read_tokens > before


THOUGHT = {"type": "thinking", "thinking": "", "signature": "c2ln"}


@pytest.mark.parametrize("kept", [True, False])
async def test_thinking_is_part_of_what_is_kept_where_it_will_be_put_back(claude: Claude, kept: bool) -> None:
    await claude.ask({"messages": [user(LONG)]})
    assert claude.exchange.prompt is not None
    claude.exchange.prompt.keeps_thinking = kept
    claude.answer(THOUGHT, ANSWER)
    await claude.ask({"messages": [user(LONG), assistant("It is done."), user("thanks")]}, after=30 * MINUTE)
    [(_, request)] = claude.own.asked
    kinds = [block["type"] for block in request["messages"][1]["content"]]
    assert kinds == (["thinking", "text"] if kept else ["text"])
    assert not any("does not fit" in said for said in claude.decided)


async def test_thinking_without_the_calls_behind_it_would_be_refused(claude: Claude) -> None:
    await claude.ask({"messages": [user(LONG)]}, dialect="anthropic_messages")
    claude.answer(THOUGHT, ANSWER, call("t1", "read"))
    await claude.ask({"messages": [user("else")]}, after=30 * MINUTE, conversation="d")
    assert claude.own.asked == []


async def test_a_conversation_that_goes_on_at_once_costs_nothing_more(claude: Claude) -> None:
    await claude.ask({"messages": [user(LONG)]})
    claude.answer(ANSWER)
    await claude.ask({"messages": [user(LONG), assistant("It is done."), user("thanks")]}, after=60.0)
    assert claude.own.asked == []


async def test_what_the_client_does_not_send_back_as_foreseen_is_told_and_soon_given_up(claude: Claude) -> None:
    for number in range(4):
        name = f"c{number}"
        await claude.ask({"messages": [user(f"{number}{LONG}")]}, conversation=name)
        claude.answer(ANSWER)
        told = [user(f"{number}{LONG}"), assistant("It is done, as the client says."), user("thanks")]
        await claude.ask({"messages": told}, after=20 * MINUTE, conversation=name)
    assert len(claude.own.asked) == 2
    assert claude.usage.cache_read_tokens == 0


async def test_conversations_that_never_return_turn_the_odds(claude: Claude) -> None:
    for number in range(60):
        name = f"c{number}"
        await claude.ask({"messages": [user(f"{number}{LONG}")]}, after=100 * MINUTE, conversation=name)
        claude.answer(ANSWER)
    asked = len(claude.own.asked)
    assert 0 < asked < 59
    assert "left to expire" in claude.decided[-1]


async def test_the_budget_of_a_conversation_is_kept(tmp_path: Path) -> None:
    claude = Claude(tmp_path, keep_warm=True, test_clock=True, keep_warm_budget_usd="0.0001")
    await claude.opened()
    await paused_often(claude)
    await claude.ask({"messages": [user(LONG)]})
    claude.answer(ANSWER)
    await claude.ask({"messages": [user(LONG), assistant("It is done."), user("thanks")]}, after=20 * MINUTE)
    assert claude.own.asked == []
    await asyncio.to_thread(claude.close)


async def test_nothing_is_kept_warm_unless_the_user_wants_it(tmp_path: Path) -> None:
    claude = Claude(tmp_path, test_clock=True)
    await claude.opened()
    await paused_often(claude)
    await claude.ask({"messages": [user(LONG)]})
    claude.answer(ANSWER)
    await claude.ask({"messages": [user(LONG), assistant("It is done."), user("thanks")]}, after=20 * MINUTE)
    assert claude.own.asked == []
    await asyncio.to_thread(claude.close)


ASKED: Json = {
    "model": SONNET,
    "max_tokens": 8_000,
    "stream": True,
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "low"},
    "system": [{"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": [{**ANSWER, "cache_control": {"type": "ephemeral"}}]}],
}


class TestTheRequest:
    def test_is_one_that_claude_takes(self) -> None:
        request = idle_request(ASKED, [ANSWER])
        assert request is not None
        validate(request, {"anthropic-version": "2026-10-21"}, ResponseMemory())

    def test_thinks_as_the_conversation_does_and_is_marked_once(self) -> None:
        request = idle_request(ASKED, [ANSWER])
        assert request is not None
        assert (request["thinking"], request["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
        assert str(request).count("cache_control") == 1
        assert request["messages"][-2]["content"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}

    def test_leaves_what_tools_are_called_with_as_it_is(self) -> None:
        use = call("t1", "write", cache_control="a word in a file")
        request = idle_request(ASKED | {"messages": [user("write"), assistant(use)]}, [ANSWER])
        assert request is not None
        assert request["messages"][1]["content"] == [use]

    @pytest.mark.parametrize(
        "more",
        [
            {"thinking": {"type": "enabled", "budget_tokens": 2_000}},
            {"tool_choice": {"type": "any"}},
            {"tool_choice": {"type": "tool", "name": "read"}},
            {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        ],
    )
    def test_is_not_made_where_claude_refuses_one_without_output(self, more: Json) -> None:
        assert idle_request(ASKED | more, [ANSWER]) is None


class Silence:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.over.wait()


class Heard:
    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.done = asyncio.Event()

    async def ask(self, behind: Exchange, request: Json, layer: str, *, at: float | None = None) -> Usage | None:
        assert at is None
        self.requests.append(request)
        self.done.set()
        return None


def paused(conversation: str = "c") -> Exchange:
    request = {"model": SONNET, "messages": [user(LONG)]}
    positions = positions_of(request)
    assert positions is not None
    exchange = an_exchange(request=request, conversation=conversation, answer={"content": [ANSWER]})
    exchange.prompt = Prompt("web", positions)
    exchange.usage = Usage(cache_write_5m_tokens=22_000)
    return exchange


def keeping(heard: Heard, silence: Silence) -> KeepWarm:
    return KeepWarm(heard, Prices(), budget_picos=10**12, sleep=silence)


HALF = Fraction(1, 2)


async def test_in_real_time_a_timer_sends_it_shortly_before_five_minutes_are_over() -> None:
    heard, silence = Heard(), Silence()
    keep = keeping(heard, silence)
    keep.answered(paused(), covered=0, chance=HALF, returned=False)
    await asyncio.sleep(0)
    assert heard.requests == []
    assert silence.slept[0] <= 280
    silence.over.set()
    await asyncio.wait_for(heard.done.wait(), 5)
    assert len(heard.requests) == 1


async def test_the_next_request_stops_the_timer() -> None:
    heard, silence = Heard(), Silence()
    keep = keeping(heard, silence)
    keep.answered(paused(), covered=0, chance=HALF, returned=False)
    await asyncio.sleep(0)
    await keep.resumed(paused())
    silence.over.set()
    await asyncio.sleep(0)
    assert heard.requests == []


async def test_of_two_answers_in_one_conversation_the_later_one_is_kept() -> None:
    heard, silence = Heard(), Silence()
    keep = keeping(heard, silence)
    for words in ("one", "two"):
        exchange = paused()
        exchange.answer = {"content": [{"type": "text", "text": words}]}
        keep.answered(exchange, covered=0, chance=HALF, returned=False)
        await asyncio.sleep(0)
    silence.over.set()
    await asyncio.wait_for(heard.done.wait(), 5)
    await asyncio.sleep(0)
    assert ["two" in str(request) for request in heard.requests] == [True]


async def test_an_answer_that_took_longer_than_the_cache_lives_is_not_kept() -> None:
    heard, silence = Heard(), Silence()
    keep = keeping(heard, silence)
    exchange = paused()
    exchange.timing.upstream_ended = exchange.timing.received + 400
    keep.answered(exchange, covered=0, chance=HALF, returned=False)
    silence.over.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert heard.requests == []
