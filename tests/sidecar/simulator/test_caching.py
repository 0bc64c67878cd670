"""Prompt caching is billed by Anthropic's rules, counter by counter."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.simulator.answers import Answer
from sidecar.simulator.caching import PromptCache, Reading, effective_marks
from sidecar.simulator.models import Model, find
from sidecar.simulator.prompt import render
from sidecar.simulator.simulator import Simulator
from tests.support.gates import AN_HOUR, Gate

BIG = "x" * 27_000
"""10,000 tokens."""
SHORT: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
LONG: dict[str, Any] = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
TOOL = {"name": "read", "input_schema": {"type": "object"}}


def text(words: str, **mark: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **mark}


def user(*blocks: dict[str, Any] | str) -> dict[str, Any]:
    return {"role": "user", "content": [text(block) if isinstance(block, str) else block for block in blocks]}


def said(words: str) -> dict[str, Any]:
    return {"role": "assistant", "content": words}


class Billing:
    """A prompt cache asked directly: one workspace, one model, a clock in seconds."""

    def __init__(self, model_id: str = "claude-opus-5-5") -> None:
        model = find(model_id)
        assert model is not None
        self.model: Model = model
        self.cache = PromptCache()
        self.now = 0.0

    def ask(self, *messages: dict[str, Any], begin: bool = True, workspace: str = "w", **fields: Any) -> Reading:
        request = {"messages": list(messages), **fields}
        reading = self.cache.read(request, render(request, self.model), self.model, workspace, self.now)
        if begin:
            self.cache.begin(reading)
        return reading


def counters(reading: Reading) -> tuple[int, int, int, int]:
    return reading.read, reading.write_1h, reading.write_5m, reading.input


def test_nothing_is_cached_without_a_mark() -> None:
    billing = Billing()
    for _ in range(2):
        assert counters(billing.ask(user(BIG))) == (0, 0, 0, 10_004)


def test_a_marked_prefix_is_written_once_and_read_after_that() -> None:
    billing = Billing()
    assert counters(billing.ask(user(text(BIG, **SHORT), "new"))) == (0, 0, 10_004, 2)
    assert counters(billing.ask(user(text(BIG, **SHORT), "other"))) == (10_004, 0, 0, 2)


def test_moving_the_mark_or_writing_text_as_a_block_still_hits() -> None:
    billing = Billing()
    billing.ask(user(text(BIG, **SHORT)))
    reading = billing.ask({"role": "user", "content": BIG}, said("ok"), user(text("next", **SHORT)))
    assert reading.read == 10_004
    assert reading.input == 0


def test_the_order_of_keys_in_tool_input_matters() -> None:
    def turn(arguments: dict[str, Any]) -> list[dict[str, Any]]:
        call = {"type": "tool_use", "id": "t1", "name": "read", "input": arguments}
        result = {"type": "tool_result", "tool_use_id": "t1", "content": BIG, **SHORT}
        return [user("go"), {"role": "assistant", "content": [call]}, user(result)]

    billing = Billing()
    billing.ask(*turn({"a": 1, "b": 2}), tools=[TOOL])
    assert billing.ask(*turn({"a": 1, "b": 2}), tools=[TOOL]).read > 10_000
    assert billing.ask(*turn({"b": 2, "a": 1}), tools=[TOOL]).read == 0


@pytest.mark.parametrize(
    ("model_id", "minimum"),
    [("claude-opus-5-5", 512), ("claude-sonnet-5", 1024), ("claude-opus-4-7", 2048), ("claude-haiku-4-5", 4096)],
)
def test_a_prefix_below_the_minimum_length_is_silently_not_cached(model_id: str, minimum: int) -> None:
    def of(tokens: int) -> dict[str, Any]:
        return user(text("x" * ((tokens - 4) * 27 // 10), **SHORT))

    billing = Billing(model_id)
    too_short = billing.ask(of(minimum - 1))
    assert counters(too_short)[:3] == (0, 0, 0)
    assert billing.ask(of(minimum + 1)).write_5m >= minimum


@pytest.mark.parametrize(("mark", "lifetime"), [(SHORT, 300), (LONG, 3600)])
def test_an_entry_lives_for_its_lifetime_from_the_start_of_its_last_use(mark: dict[str, Any], lifetime: int) -> None:
    billing = Billing()
    billing.ask(user(text(BIG, **mark)))
    for _ in range(3):  # every hit starts the lifetime anew, for nothing
        billing.now += lifetime - 1
        assert billing.ask(user(text(BIG, **mark))).read == 10_004
    billing.now += lifetime
    assert billing.ask(user(text(BIG, **mark))).read == 0


def test_the_lifetime_counts_from_the_start_of_the_writing_request() -> None:
    billing = Billing()
    slow = billing.ask(user(text(BIG, **SHORT)), begin=False)
    billing.now = 200
    billing.cache.begin(slow)
    billing.now = 301
    assert billing.ask(user(text(BIG, **SHORT))).read == 0


def test_requests_that_start_before_the_first_response_begins_all_pay_the_write() -> None:
    billing = Billing()
    waiting = [billing.ask(user(text(BIG, **SHORT)), begin=False) for _ in range(3)]
    assert [reading.write_5m for reading in waiting] == [10_004] * 3
    billing.cache.begin(waiting[0])
    assert billing.ask(user(text(BIG, **SHORT))).read == 10_004


def numbered(count: int, marked: set[int]) -> list[dict[str, Any]]:
    """A user turn of `count` blocks of 1,000 tokens, marked at these places (from 1)."""
    blocks = [text(f"{n:02}" + "x" * 2698, **(SHORT if n in marked else {})) for n in range(1, count + 1)]
    return [user(*blocks)]


def test_looking_back_ends_after_twenty_positions() -> None:
    billing = Billing()
    billing.ask(*numbered(15, {10, 15}))
    assert billing.ask(*numbered(35, {35})).read == 0
    billing = Billing()
    billing.ask(*numbered(16, {16}))
    assert billing.ask(*numbered(35, {35})).read == 16_004


def test_looking_back_resumes_at_the_next_mark() -> None:
    billing = Billing()
    billing.ask(*numbered(15, {15}))
    assert billing.ask(*numbered(50, {20, 50})).read == 15_004


@pytest.mark.parametrize("kind", ["tool_use", "tool_result"])
def test_a_run_of_tool_calls_or_of_results_is_one_position(kind: str) -> None:
    calls = [{"type": "tool_use", "id": f"t{n}", "name": "read", "input": {}} for n in range(30)]
    results = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": "x"} for n in range(30)]
    billing = Billing()
    billing.ask(user(text(BIG, **SHORT)), tools=[TOOL])
    follow_up = {"role": "assistant", "content": calls}, user(*results, text("go on", **SHORT))
    assert billing.ask(user(BIG), *follow_up, tools=[TOOL]).read > 10_000, kind


@given(written=st.integers(1, 60), marked=st.integers(1, 60))
def test_an_entry_is_found_exactly_within_twenty_positions_of_the_mark(written: int, marked: int) -> None:
    billing = Billing()
    billing.ask(*numbered(written, {written}))
    found = billing.ask(*numbered(max(written, marked), {marked})).read > 0
    assert found == (0 <= marked - written < 20)


def test_two_lifetimes_in_one_request_split_the_write() -> None:
    billing = Billing()
    system = [text(BIG, **LONG)]
    assert counters(billing.ask(user(text(BIG, **SHORT), "tail"), system=system)) == (0, 10_004, 10_004, 2)
    billing.now = 400
    assert counters(billing.ask(user(text(BIG, **SHORT), "tail"), system=system)) == (10_004, 0, 10_004, 2)
    billing.now = 500
    assert counters(billing.ask(user(text(BIG, **SHORT), "tail"), system=system)) == (20_008, 0, 0, 2)


def test_a_mark_on_an_older_end_keeps_that_entry_warm() -> None:
    billing = Billing()
    billing.ask(user(text(BIG, **SHORT)))
    billing.now = 200
    billing.ask(user(text(BIG, **SHORT)), said("ok"), user(text(BIG, **SHORT)))
    billing.now = 450
    assert billing.ask(user(text(BIG, **SHORT))).read == 10_004


def test_a_one_hour_mark_under_a_read_prefix_makes_no_entry_for_nothing() -> None:
    billing = Billing()
    billing.ask(user(text(BIG, **SHORT)))
    assert counters(billing.ask(user(text(BIG, **LONG)))) == (10_004, 0, 0, 0)
    billing.now = 301
    assert billing.ask(user(text(BIG, **LONG))).read == 0


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
LOSES_MESSAGES: list[dict[str, Any]] = [
    {"tool_choice": {"type": "none"}},
    {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    {"output_config": {"effort": "low"}},
    {"thinking": {"type": "between_tools"}},
]


@pytest.mark.parametrize("change", LOSES_MESSAGES, ids=str)
def test_request_settings_lose_the_messages_and_keep_tools_and_system(change: dict[str, Any]) -> None:
    billing = Billing("claude-sonnet-5-5")
    head: dict[str, Any] = {"tools": [TOOL | SHORT], "system": [text(BIG, **SHORT)]}
    billing.ask(user(text(BIG, **SHORT)), **head)
    reading = billing.ask(user(text(BIG, **SHORT)), **head, **change)
    assert 10_000 < reading.read < 11_000
    assert reading.write_5m == 10_004


def test_the_first_image_loses_the_messages() -> None:
    billing = Billing()
    head: dict[str, Any] = {"system": [text(BIG, **SHORT)]}
    billing.ask(user(text(BIG, **SHORT)), **head)
    assert billing.ask(user(text(BIG, **SHORT), IMAGE), **head).read == 10_004


def test_a_default_written_out_equals_one_left_out() -> None:
    billing = Billing("claude-opus-5-5")
    billing.ask(user(text(BIG, **SHORT)), tools=[TOOL])
    same = billing.ask(
        user(text(BIG, **SHORT)),
        tools=[TOOL],
        thinking={"type": "adaptive", "display": "summarized"},
        output_config={"effort": "medium"},
        tool_choice={"type": "auto"},
        speed="standard",
    )
    assert same.read > 10_000


@pytest.mark.parametrize(
    "change",
    [
        {"system": [text("different")]},
        {"tools": [TOOL | {"description": "different"}]},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
    ],
    ids=str,
)
def test_a_change_in_front_loses_everything_behind_it(change: dict[str, Any]) -> None:
    billing = Billing()
    head: dict[str, Any] = {"tools": [TOOL], "system": [text("same")]}
    billing.ask(user(text(BIG, **SHORT)), **head)
    assert billing.ask(user(text(BIG, **SHORT)), **{**head, **change}).read == 0


def test_speed_keeps_the_tools_only() -> None:
    billing = Billing()
    head: dict[str, Any] = {"tools": [TOOL | {"description": BIG} | SHORT], "system": [text(BIG, **SHORT)]}
    billing.ask(user("hi"), **head)
    reading = billing.ask(user("hi"), **head, speed="fast")
    assert 10_000 < reading.read < 11_000
    assert reading.write_5m == 10_004


def test_workspaces_and_models_do_not_share_entries() -> None:
    billing = Billing()
    billing.ask(user(text(BIG, **SHORT)))
    assert billing.ask(user(text(BIG, **SHORT)), workspace="other").read == 0
    other = find("claude-opus-5")
    assert other is not None
    billing.model = other
    assert billing.ask(user(text(BIG, **SHORT))).read == 0


def test_the_automatic_mark_sits_on_the_last_block_that_can_carry_one() -> None:
    model = find("claude-opus-4-5")
    assert model is not None
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    messages = [user("go"), {"role": "assistant", "content": [text("well"), thinking]}]
    request: dict[str, Any] = {"messages": messages, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    blocks = render(request, model)
    assert effective_marks(request, blocks) == [(1, "1h")]
    assert effective_marks({**request, "messages": [user(text("go", **LONG))]}, blocks[:1]) == [(0, "1h")]


def test_thinking_of_finished_turns_stays_or_goes_by_model() -> None:
    thinking = {"type": "thinking", "thinking": "x" * 270, "signature": "c2ln"}
    messages = [user("a"), {"role": "assistant", "content": [thinking, text("b")]}, user("c")]
    kept, stripped = (find(model_id) for model_id in ("claude-opus-4-5", "claude-haiku-4-5"))
    assert kept is not None
    assert stripped is not None
    assert [block.kind for block in render({"messages": messages}, kept)] == ["text", "thinking", "text", "text"]
    assert [block.kind for block in render({"messages": messages}, stripped)] == ["text", "text", "text"]


conversations = st.lists(
    st.tuples(st.integers(1, 4_000), st.sampled_from(["", "", "5m", "1h"]), st.integers(0, 4_000)),
    min_size=1,
    max_size=12,
)


@given(conversations, st.integers(1, 12))
def test_the_four_counters_always_sum_to_the_prompt(spoken: list[tuple[int, str, int]], step: int) -> None:
    billing = Billing()
    for end in range(step, len(spoken) + step, step):
        blocks = []
        for number, (size, ttl, _) in enumerate(spoken[:end]):
            mark = {"cache_control": {"type": "ephemeral", "ttl": ttl}} if ttl else {}
            blocks.append(text(f"{number:04}" + "x" * size, **mark))
        request = {"messages": [user(*blocks)]}
        prompt = sum(block.tokens for block in render(request, billing.model))
        reading = billing.ask(*request["messages"])
        assert reading.input + reading.read + reading.write_5m + reading.write_1h == prompt
        assert min(counters(reading)) >= 0
        billing.now += spoken[min(end, len(spoken)) - 1][2]


@given(conversations, st.integers(0, 5_000))
def test_asking_the_same_again_in_time_reads_what_was_written_and_writes_nothing(
    spoken: list[tuple[int, str, int]], gap: int
) -> None:
    billing = Billing()
    last = max((number for number, (_, ttl, _) in enumerate(spoken) if ttl), default=None)
    blocks = [
        text(f"{number:04}" + "x" * size, **({"cache_control": {"type": "ephemeral", "ttl": ttl}} if ttl else {}))
        for number, (size, ttl, _) in enumerate(spoken)
    ]
    first = billing.ask(user(*blocks))
    billing.now += gap
    second = billing.ask(user(*blocks))
    if last is not None and gap < (3600 if spoken[last][1] == "1h" else 300):
        assert second.read == first.write_5m + first.write_1h
        assert second.write_5m == second.write_1h == 0
    if gap >= 3600:
        assert counters(second) == counters(first)


async def test_the_bill_reaches_the_wire(ask: Any, simulator: Simulator) -> None:
    messages = [user(text(BIG, **LONG), "tail")]
    first = (await ask(messages=messages)).usage
    assert first["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10_004}
    assert (first["input_tokens"], first["cache_creation_input_tokens"], first["cache_read_input_tokens"]) == (
        2,
        10_004,
        0,
    )
    simulator.clock.advance(3599)
    assert (await ask(messages=messages)).usage["cache_read_input_tokens"] == 10_004
    simulator.clock.advance(3600)
    assert (await ask(messages=messages)).usage["cache_read_input_tokens"] == 0
    plain = 2 * 4 + first["output_tokens"] * 20
    assert [row.cost for row in simulator.ledger.messages] == [
        plain + 10_004 * 8,
        plain + 10_004 * Decimal("0.2"),
        plain + 10_004 * 8,
    ]


async def test_a_pre_warming_request_writes_and_answers_nothing(ask: Any) -> None:
    messages = [user(text(BIG, **SHORT))]
    warm = await ask(messages=messages, max_tokens=0)
    assert warm.json["content"] == []
    assert warm.usage["output_tokens"] == 0
    assert (await ask(messages=messages)).usage["cache_read_input_tokens"] == 10_004


async def test_an_answer_that_has_not_begun_cannot_be_read(ask: Any, simulator: Simulator, gate: Gate) -> None:
    arrived = asyncio.Event()

    def first(request: dict[str, Any]) -> bool:
        arrived.set()
        return True

    simulator.when(first, Answer("late", first_byte_after=AN_HOUR), times=1)
    messages = [user(text(BIG, **SHORT))]
    late = asyncio.create_task(ask(messages=messages))
    await arrived.wait()
    assert (await ask(messages=messages)).usage["cache_read_input_tokens"] == 0
    gate.open()
    assert (await late).usage["cache_creation_input_tokens"] == 10_004


def test_the_cache_keeps_no_more_entries_than_its_limit() -> None:
    billing = Billing()
    billing.cache = PromptCache(limit=3)
    for number in range(10):
        billing.ask(user(text(f"{number}" + BIG, **SHORT)))
    assert len(billing.cache) == 3
