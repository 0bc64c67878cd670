"""What layers kept out of a prompt, in tokens, under the counter those tokens would have paid."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons import BUILT_IN
from sidecar.accounts.account import Reduction, as_marked, uncached
from sidecar.accounts.accounting import Accountant
from sidecar.accounts.layers import LAYERS_IN_ORDER, plainly, reductions
from sidecar.accounts.prices import Prices
from sidecar.conversation import Accepted, Line, match, positions_of
from sidecar.exchange import Exchange, Json, Timing, Usage
from sidecar.ledger.rows import LAYERS, LedgerRow
from sidecar.prompt import Prompt
from sidecar.tokens.estimator import TokenEstimator
from tests.support.exchanges import SONNET, an_exchange

PRICES = Prices()


def text(size: int) -> Json:
    """A block of so many bytes of JSON."""
    return {"type": "text", "text": "x" * (size - len('{"type":"text","text":""}'))}


def a_prompt(blocks: Sequence[Json], line: Line | None = None, now: float = 0.0, system: Sequence[Json] = ()) -> Prompt:
    """Every block in a message of its own, the first a user's."""
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": [block]} for number, block in enumerate(blocks)]
    positions = positions_of({"messages": messages, "system": list(system)})
    assert positions is not None
    prompt = Prompt("web", positions)
    if line is not None:
        prompt.resume(match(line, prompt.positions, prompt.chain), now)
    return prompt


def accepted(prompt: Prompt, tokens: int, now: float = 0.0, model: str = SONNET) -> Line:
    """The line after Claude took the prompt, as the memory makes it."""
    line = prompt.line or Line("line", "web", "test")
    line.renew(prompt.renewed)
    line.extend(prompt.sent())
    line.accept(Accepted(now=now, model=model, until=len(line.sent), tokens=tokens))
    prompt.line = line
    return line


def one_sixth(prompt: Prompt) -> int:
    """Tokens of a prompt in which six bytes are one."""
    return sum(prompt.size(index) for index in range(len(prompt.positions))) // 6


def test_a_cut_in_new_text_would_have_been_written() -> None:
    prompt = a_prompt([text(600), text(600), text(6000)])
    prompt.replace(2, text(600), "file_references")
    usage = Usage(cache_read_tokens=200, cache_write_5m_tokens=100)
    assert reductions(prompt, usage, SONNET) == [Reduction("file_references", 900, "cache_write_5m_tokens")]


def test_a_cut_of_an_earlier_turn_would_have_been_read() -> None:
    first = a_prompt([text(6000)])
    first.replace(0, text(600), "size_limits")
    prompt = a_prompt([text(6000), text(600), text(600)], accepted(first, 100))
    usage = Usage(cache_read_tokens=100, cache_write_5m_tokens=200)
    assert reductions(prompt, usage, SONNET) == [Reduction("size_limits", 900, "cache_read_tokens")]


@pytest.mark.parametrize(
    ("usage", "counter"),
    [
        (Usage(cache_read_tokens=300), "cache_read_tokens"),
        (Usage(0, 200, 100), "cache_write_5m_tokens"),
        (Usage(0, 200, 0, 100), "cache_write_1h_tokens"),
        (Usage(0, 100, 100, 100), "cache_write_5m_tokens"),
        (Usage(100, 200), "input_tokens"),
        (Usage(300), "input_tokens"),
    ],
)
def test_the_counter_is_that_of_the_place_where_the_text_would_stand(usage: Usage, counter: str) -> None:
    prompt = a_prompt([text(600), text(600), text(6000)])
    prompt.replace(2, text(600), "file_references")
    assert [reduction.paid_as for reduction in reductions(prompt, usage, SONNET)] == [counter]


def test_text_that_a_layer_adds_counts_against_it() -> None:
    prompt = a_prompt([text(6000)])
    prompt.append("x" * 550, "diff_first")
    [reduction] = reductions(prompt, Usage(one_sixth(prompt)), SONNET)
    assert reduction.layer == "diff_first"
    assert -105 < reduction.tokens < -95


def test_a_picture_says_nothing_about_the_tokens_of_text() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 600_000}}
    line = accepted(a_prompt([picture]), 1500)
    line = accepted(a_prompt([picture, text(6000), text(6000)], line), 3500)
    prompt = a_prompt([picture, text(6000), text(6000), text(600), text(6600)], line)
    prompt.replace(4, text(600), "file_references")
    usage = Usage(cache_read_tokens=3500, cache_write_5m_tokens=200)
    assert reductions(prompt, usage, SONNET) == [Reduction("file_references", 1000, "cache_write_5m_tokens")]


def test_another_model_s_tokens_are_no_measure() -> None:
    line = accepted(a_prompt([text(600)]), 9_000_000, model="claude-haiku-5-5")
    prompt = a_prompt([text(600), text(600), text(6000)], line)
    prompt.replace(2, text(600), "file_references")
    assert reductions(prompt, Usage(300), SONNET) == [Reduction("file_references", 900, "input_tokens")]


def test_an_answer_without_usage_tells_nothing() -> None:
    prompt = a_prompt([text(6000)])
    prompt.replace(0, text(600), "size_limits")
    assert reductions(prompt, Usage(), SONNET) == []


def test_layers_come_in_their_order_and_a_user_s_own_last() -> None:
    prompt = a_prompt([text(60_000)])
    names = ["diff_first", "my_addon", "file_references", "context_pruning", "boilerplate", "size_limits"]
    for number, layer in enumerate(names):
        prompt.replace(0, text(50_000 - 1000 * number), layer)
    found = [reduction.layer for reduction in reductions(prompt, Usage(10_000), SONNET)]
    assert found == [*(layer for layer in LAYERS_IN_ORDER if layer in names), "my_addon"]
    assert set(LAYERS_IN_ORDER) <= set(LAYERS)


def test_the_order_is_that_of_the_layers_themselves() -> None:
    files = [name.removeprefix("addons.").partition(":")[0] for name in BUILT_IN]
    acting = [name for name in files if name in LAYERS_IN_ORDER]
    assert acting == sorted(acting, key=LAYERS_IN_ORDER.index)


def test_a_repair_saves_the_writing_of_what_could_be_read() -> None:
    clock = [text(600), text(6000), text(600)]
    line = accepted(a_prompt(clock), 1200)
    prompt = a_prompt([text(601), *clock[1:], text(600), text(600)], line)
    prompt.mend(["x" * 100], as_system=False)
    usage = Usage(0, 1200, 230)
    read, written = 1200, 0
    for reduction in reductions(prompt, usage, SONNET):
        assert reduction.layer == "prefix_repair"
        read += reduction.tokens if reduction.paid_as == "cache_read_tokens" else 0
        written += reduction.tokens if reduction.paid_as == "cache_write_5m_tokens" else 0
    assert read == 0
    assert 1150 < written < 1200  # what could be read, less the amendment


def test_a_client_that_marks_nothing_would_have_paid_all_as_plain_input() -> None:
    prompt = a_prompt([text(600)])
    usage = Usage(1, 100)
    assert plainly(prompt, usage, model=SONNET, now=0, automatic=False) is as_marked
    prompt.mark(0, "5m")
    assert plainly(prompt, usage, model=SONNET, now=0, automatic=False) is uncached


def marked(line: Line | None, now: float, *, ttl: str = "5m", system: Sequence[Json] = ()) -> Prompt:
    """One whose client marks its end, and we one more."""
    count = 1 if line is None else 3
    prompt = a_prompt([text(6000)] * count, line, now, system)
    prompt.client_marks = {len(prompt.positions) - 1: ttl}
    prompt.mark(0, "1h")
    return prompt


def test_a_client_s_own_caching_is_never_our_saving() -> None:
    prompt = marked(accepted(marked(None, 0), 1000), 200)
    usage = Usage(5, 1000, 2000)
    assert plainly(prompt, usage, model=SONNET, now=200, automatic=False)(usage) == usage
    hour = marked(accepted(marked(None, 0), 1000), 2000, ttl="1h")
    assert plainly(hour, usage, model=SONNET, now=2000, automatic=False) is as_marked
    unmarked = a_prompt([text(600)])
    unmarked.mark(0, "5m")
    assert plainly(unmarked, usage, model=SONNET, now=0, automatic=True)(usage) == usage


def test_our_hour_is_charged_where_it_is_written_and_credited_where_it_is_read() -> None:
    writing = marked(None, 0)
    usage = Usage(0, 0, 0, 1000)
    assert plainly(writing, usage, model=SONNET, now=0, automatic=False)(usage) == Usage(0, 0, 1000)
    reading = marked(accepted(writing, 1000), 1800)
    usage = Usage(5, 1000, 2000)
    assert plainly(reading, usage, model=SONNET, now=1800, automatic=False)(usage) == Usage(5, 0, 3000)


def test_a_head_that_another_conversation_may_have_kept_warm_is_not_credited() -> None:
    head = [text(6000)]
    reading = marked(accepted(marked(None, 0, system=head), 2000), 1800, system=head)
    usage = Usage(0, 2000, 2000)
    assert plainly(reading, usage, model=SONNET, now=1800, automatic=False)(usage) == Usage(0, 1000, 3000)


class Rows(list[LedgerRow]):
    def add(self, row: LedgerRow) -> None:
        self.append(row)


def settle(prompt: Prompt, usage: Usage, **fields: Any) -> tuple[LedgerRow, Exchange]:
    timing = Timing(received=10.0, upstream_sent=10.002, first_byte=10.4, upstream_ended=13.0, finished=13.001)
    exchange = an_exchange(
        **{
            "request": {"messages": []},
            "model_resolved": SONNET,
            "status": 200,
            "stop_reason": "end_turn",
            "usage": usage,
            "upstream_headers": {"request-id": "req_011"},
            "timing": timing,
            "prompt": prompt,
            **fields,
        }
    )

    async def row() -> LedgerRow:
        rows = Rows()
        accountant = Accountant(PRICES, TokenEstimator())
        accountant.open(rows, [])
        accountant(exchange)
        await accountant.close()
        [row] = rows
        return row

    return asyncio.run(row()), exchange


def test_the_ledger_gets_each_layer_at_what_its_tokens_would_have_paid() -> None:
    first = a_prompt([text(60_000)])
    first.replace(0, text(6000), "size_limits")
    prompt = a_prompt([text(60_000), text(6000), text(60_000)], accepted(first, 1000))
    prompt.replace(2, text(6000), "file_references")
    prompt.mark(2, "5m")
    row, _ = settle(prompt, Usage(0, 1000, 2000))
    read, written, plain = 9000 * 0.1, 9000 * 2.5, 2
    assert float(row.saved["size_limits"]) == pytest.approx(read)
    assert float(row.saved["file_references"]) == pytest.approx(written)
    assert row.baseline_micros == (3000 + 18_000) * plain
    assert sum(row.saved.values()) == row.baseline_micros - row.cost_micros


COUNTS = st.integers(0, 10**5)
TTLS = st.sampled_from(["5m", "1h"])
SIZES = st.integers(30, 5000)
EDITS = st.lists(st.tuples(st.integers(0, 9), SIZES, st.sampled_from([*LAYERS_IN_ORDER, "my_addon"])), max_size=5)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(SIZES, min_size=1, max_size=5),
    st.lists(SIZES, min_size=2, max_size=4),
    st.tuples(EDITS, EDITS),
    st.tuples(st.integers(1, 10**5), st.builds(Usage, st.integers(1, 10**5), COUNTS, COUNTS, COUNTS, COUNTS)),
    st.dictionaries(st.integers(0, 8), TTLS, max_size=2),
    st.dictionaries(st.integers(0, 8), TTLS, max_size=2),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.floats(0, 10**4)),
)
def test_the_layers_sum_exactly_to_baseline_minus_bill(
    old: list[int],
    new: list[int],
    edits: tuple[list[tuple[int, int, str]], list[tuple[int, int, str]]],
    counted: tuple[int, Usage],
    ours: dict[int, str],
    theirs: dict[int, str],
    turns: tuple[bool, bool, bool, float],
) -> None:
    changes, remembered_already, routed, gap = turns
    first = a_prompt([text(size) for size in old])
    for index, size, layer in edits[0]:
        if index < len(old):
            first.replace(index, text(size), layer)
    blocks = [text(size) for size in (*old, *new)]
    if changes:
        blocks[0] = text(old[0] + 1)
    prompt = a_prompt(blocks, accepted(first, counted[0]), gap)
    if prompt.repairable and prompt.positions[-1].role == "user":
        prompt.mend(["now it is later"], as_system=False)
    for index, size, layer in edits[1]:
        if len(prompt.positions) > index >= prompt.frozen:
            prompt.replace(index, text(size), layer)
    last = len(prompt.positions) - 1
    prompt.client_marks = {min(last, index): ttl for index, ttl in theirs.items()}
    for index, ttl in ours.items():
        prompt.mark(min(last, index), "1h" if ttl == "1h" else "5m")
    if remembered_already and prompt.line and prompt.frozen == len(prompt.line.sent):
        accepted(prompt, counted[1].prompt_tokens, gap)
    row, exchange = settle(prompt, counted[1], now=gap, model="claude-haiku-5-5" if routed else SONNET)
    assert exchange.account is not None
    assert sum(row.saved.values()) == row.baseline_micros - row.cost_micros
    assert row.cost_micros >= 0
    assert not row.estimated
