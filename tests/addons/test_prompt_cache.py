"""Cache markers: what a conversation costs under Anthropic's documented billing, and what Claude would refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.exchange import Json
from sidecar.projects.policy import Policy
from sidecar.simulator.caching import PromptCache as Billing
from sidecar.simulator.caching import Reading
from sidecar.simulator.models import Model
from sidecar.simulator.prompt import PromptBlock
from tests.support import thorough
from tests.support.billed_talks import Claude
from tests.support.talks import assistant, call, result, user

MINUTE = 60.0
SYSTEM = "You are an agent. " * 300
TOOLS = [{"name": "read", "description": "reads a file " * 200, "input_schema": {"type": "object"}}]
FIVE: Json = {"type": "ephemeral"}
HOUR: Json = {"type": "ephemeral", "ttl": "1h"}


class EachPartForItself(Billing):
    """A Claude that bills otherwise: an hour for the end of a prompt does not keep what five minutes were paid for."""

    last = 0.0

    def read(
        self, request: dict[str, Any], blocks: list[PromptBlock], model: Model, workspace: str, now: float
    ) -> Reading:
        if now - self.last > 5 * MINUTE:
            self.clear()
        self.last = now
        return super().read(request, blocks, model, workspace, now)


Begin = Callable[..., Any]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    begun: list[Claude] = []

    async def open_one(*, home: str = "home", **chosen: Any) -> Claude:
        claude = Claude(tmp_path / home, **chosen)
        begun.append(claude)
        await claude.opened()
        return claude

    yield open_one
    for claude in begun:
        await asyncio.to_thread(claude.close)


def steps(count: int, size: int = 900) -> list[Json]:
    """A task, and so many calls with their results; a result has `size` tokens."""
    messages = [user("find the bug " * 200)]
    for number in range(count):
        messages += [
            assistant(call(f"t{number}", "read", path=str(number))),
            user(result(f"t{number}", "x" * size * 3)),
        ]
    return messages


def request(count: int, size: int = 900, **fields: Any) -> Json:
    return {"tools": TOOLS, "system": SYSTEM, "messages": steps(count, size), **fields}


async def test_a_client_that_marks_nothing_gets_its_head_and_its_end_marked(begin: Begin) -> None:
    claude = await begin()
    assert await claude.ask(request(0)) == {"tools.0": "5m", "system.0": "5m", "messages.0.content.0": "5m"}


async def test_every_later_request_reads_all_of_the_one_before(begin: Begin) -> None:
    claude = await begin()
    before = 0
    for count in range(12):
        await claude.ask(request(count))
        assert claude.usage.cache_read_tokens == before
        assert claude.usage.input_tokens == 0
        before = claude.usage.prompt_tokens


async def test_a_turn_with_very_many_new_blocks_still_reads_what_was_there(begin: Begin) -> None:
    claude = await begin()
    await claude.ask(request(1))
    before = claude.usage.prompt_tokens
    many = [*steps(1), assistant("so"), user(*[f"part {number} " * 50 for number in range(40)])]
    await claude.ask({"tools": TOOLS, "system": SYSTEM, "messages": many})
    assert claude.usage.cache_read_tokens == before


async def test_a_prompt_too_short_for_the_cache_is_left_as_it_is(begin: Begin) -> None:
    claude = await begin()
    short = {"messages": [user("hello")]}
    assert await claude.ask(short) == {}
    assert claude.sent == short


async def test_the_clients_own_markers_stay_and_only_free_places_are_filled(begin: Begin) -> None:
    claude = await begin()
    system = [{"type": "text", "text": SYSTEM, "cache_control": HOUR}]
    for count in range(4):
        marks = await claude.ask(request(count) | {"system": system})
        assert marks["system.0"] == "1h"
        assert len(marks) <= 4
    assert claude.usage.cache_read_tokens


async def test_of_more_than_four_markers_the_worthy_four_stay_and_that_is_told(begin: Begin) -> None:
    claude = await begin()
    messages = [user({"type": "text", "text": f"words {number} " * 300, "cache_control": FIVE}) for number in range(3)]
    spread = [message for each in messages for message in (each, assistant("well"))][:-1]
    tools = [{**TOOLS[0], "name": name, "cache_control": FIVE} for name in ("a", "b")]
    system = [{"type": "text", "text": SYSTEM, "cache_control": FIVE}]
    marks = await claude.ask({"tools": tools, "system": system, "messages": spread})
    assert marks.keys() == {"tools.1", "system.0", "messages.2.content.0", "messages.4.content.0"}
    assert claude.noted == ["cache_control=ignored (6 marks, of which Claude takes 4)"]


async def test_a_marker_for_the_whole_request_counts_as_one(begin: Begin) -> None:
    claude = await begin()
    for count in range(3):
        marks = await claude.ask(request(count, cache_control=FIVE))
        assert len(marks) <= 3
        assert f"messages.{2 * count}.content.0" not in marks


async def test_a_project_that_turned_markers_off_gets_none(begin: Begin) -> None:
    claude = await begin()
    assert await claude.ask(request(1), policy=Policy(switches={"enable_anthropic_cache_control": False})) == {}


async def test_a_bypass_leaves_unknown_conversations_plain_and_keeps_known_ones_warm(begin: Begin) -> None:
    claude = await begin()
    assert await claude.ask(request(0), bypass=True) == {}
    assert await claude.ask(request(1), bypass=True) == {}
    await claude.ask(request(2))
    await claude.ask(request(3), bypass=True)
    assert claude.usage.cache_read_tokens


@pytest.mark.parametrize("ttl", ["5m", "1h"])
async def test_a_chosen_lifetime_is_used_everywhere(begin: Begin, ttl: str) -> None:
    claude = await begin(cache_ttl=ttl)
    for count in range(3):
        assert set((await claude.ask(request(count))).values()) == {ttl}


async def test_an_hour_is_bought_for_a_long_prompt_when_little_is_new_and_outlives_a_pause(begin: Begin) -> None:
    claude = await begin()
    for count in range(21):
        await claude.ask(request(count))
    await claude.ask(request(20) | {"messages": [*steps(20), assistant("done"), user("thanks")]})
    assert any("tail for an hour: costs $0.0" in line for line in claude.decided)
    before = claude.usage.prompt_tokens
    more = [*steps(20), assistant("done"), user("thanks"), assistant("welcome"), user("one more")]
    await claude.ask(request(20) | {"messages": more}, after=40 * MINUTE)
    assert claude.usage.cache_read_tokens == before


async def pausing(claude: Claude, *, rounds: int) -> list[int]:
    """A conversation with short words of a person after each pause of half an hour; what was read after each."""
    messages = steps(20)
    read = []
    await claude.ask({"messages": messages})
    for number in range(rounds):
        for _ in range(4):
            messages = [*messages, assistant("well"), user("and now? " * 10)]
            await claude.ask({"messages": messages})
        messages = [*messages, assistant("done"), user(f"round {number}")]
        await claude.ask({"messages": messages}, after=30 * MINUTE)
        read.append(claude.usage.cache_read_tokens)
    return read


async def test_pauses_are_survived_time_and_again(begin: Begin) -> None:
    assert all(await pausing(await begin(), rounds=5))


async def test_where_an_hour_does_not_hold_one_pause_is_enough_to_stop_buying_it(begin: Begin) -> None:
    claude = await begin(billing=EachPartForItself())
    read = await pausing(claude, rounds=1)
    assert read == [0]
    messages = [*steps(20), *[assistant("well"), user("and now? " * 10)] * 4, assistant("done"), user("round 0")]
    await claude.ask({"messages": [*messages, assistant("yes"), user("go on")]})
    assert any("an hour did not hold" in line and "one lifetime" in line for line in claude.decided)
    assert claude.usage.cache_write_1h_tokens == 0
    assert any("paid for by itself" in line for line in claude.decided)


async def test_that_an_hour_does_not_hold_is_still_known_after_a_restart(begin: Begin) -> None:
    first = await begin(billing=EachPartForItself())
    await pausing(first, rounds=2)
    await asyncio.to_thread(first.close)
    second = await begin()
    second.now = first.now
    await second.ask(request(5), conversation="another")
    assert any("paid for by itself" in line for line in second.decided)


async def test_a_change_of_effort_is_not_taken_for_an_hour_that_did_not_hold(begin: Begin) -> None:
    claude = await begin()
    await pausing(claude, rounds=0)
    messages = steps(20)
    for _ in range(4):
        messages = [*messages, assistant("well"), user("and now? " * 10)]
        await claude.ask({"messages": messages})
    low = {"output_config": {"effort": "low"}}
    for after in (30 * MINUTE, 20.0):
        messages = [*messages, assistant("done"), user("more")]
        await claude.ask({"messages": messages, **low}, after=after)
    assert not any("did not hold" in line for line in claude.decided)


async def test_conversations_that_follow_each_other_closely_make_the_head_live_an_hour(begin: Begin) -> None:
    claude = await begin()
    for number in range(30):
        told = [user(f"task {number} " * 300)]
        await claude.ask(request(0) | {"messages": told}, after=20 * MINUTE, conversation=f"c{number}")
    assert any("for an hour" in line for line in claude.decided if "head" in line)
    assert claude.usage.cache_read_tokens


async def test_another_model_starts_cold_and_is_marked_all_the_same(begin: Begin) -> None:
    claude = await begin()
    await claude.ask(request(2))
    marks = await claude.ask(request(3), model="claude-opus-5-5")
    assert marks
    await claude.ask(request(4), model="claude-opus-5-5")
    assert claude.usage.cache_read_tokens


async def test_an_edited_history_reads_what_is_still_the_same(begin: Begin) -> None:
    claude = await begin()
    await claude.ask(request(6))
    other = [*steps(6)[:-1], user(result("t5", "something else"))]
    await claude.ask({"tools": TOOLS, "system": SYSTEM, "messages": other})
    assert claude.usage.cache_read_tokens


WORDS = st.sampled_from(["", " ", "word " * 10, "long " * 900])
CONTROL = st.sampled_from([None, None, None, FIVE])


@st.composite
def conversations(draw: st.DrawFn) -> list[Json]:
    """Requests that each go on from the one before, from clients that mark some of it themselves."""
    messages: list[Json] = [user("task " * 500)]
    requests = []
    for number in range(draw(st.integers(1, 5))):
        thinking = [{"type": "thinking", "thinking": "", "signature": "c2ln"}] if draw(st.booleans()) else []
        calls = [call(f"t{number}.{each}", "read") for each in range(draw(st.integers(0, 3)))]
        results = [result(block["id"], draw(WORDS)) for block in calls]
        said: Json = {"type": "text", "text": draw(WORDS) or "x"}
        if (control := draw(CONTROL)) is not None and said["text"].strip():
            said["cache_control"] = control
        requests.append({"tools": TOOLS, "system": SYSTEM, "messages": list(messages)})
        messages += [assistant(*thinking, "so", *calls), {"role": "user", "content": [*results, said]}]
    return requests


@settings(max_examples=12, deadline=None, suppress_health_check=thorough.ONE_FIXTURE)
@given(talk=conversations(), gaps=st.lists(st.sampled_from([5.0, 400.0, 5_000.0]), min_size=5, max_size=5))
def test_whatever_a_client_sends_and_marks_claude_takes_the_markers(
    tmp_path: Path, talk: list[Json], gaps: list[float]
) -> None:
    async def play() -> None:
        claude = Claude(tmp_path)
        await claude.opened()
        for body, gap in zip(talk, gaps, strict=False):
            await claude.ask(body, after=gap)  # check_marks refuses what Claude would
        await asyncio.to_thread(claude.close)

    asyncio.run(play())
