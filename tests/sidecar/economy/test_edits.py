"""What leaving something out costs and saves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.accounts.prices import Prices, Rates
from sidecar.economy.edits import edit, step_cut

NOW = datetime(2026, 11, 22, tzinfo=UTC)
COUNTS = st.integers(0, 1_000_000)
CENT = 10**10


def rates(model: str) -> Rates:
    return Prices().row(model, NOW).base


def test_five_thousand_tokens_that_never_enter_save_what_writing_and_twenty_readings_cost() -> None:
    trade = edit(rates("claude-opus-5-5"), removed=5_000, further=20)
    assert trade.saves == 4_500_000 * 10_000  # 5,000 tokens at $4 a million, 2.25 times: 4.5 cents
    assert trade.cost == 0
    assert trade.pays
    assert str(trade) == "done: saves $0.045 and costs $0.00"


@pytest.mark.parametrize(
    ("model", "break_even"), [("claude-opus-5", 11.5), ("claude-opus-5-5", 24), ("claude-fable-5-2", 49)]
)
def test_rewriting_old_history_breaks_even_later_the_cheaper_readings_are(model: str, break_even: float) -> None:
    """As many tokens behind the edit as it removes: (w - r) / r requests."""
    longer = edit(rates(model), removed=1_000, behind=1_000, warm=True, further=int(break_even) + 1)
    shorter = edit(rates(model), removed=1_000, behind=1_000, warm=True, further=int(break_even) - 2)
    assert longer.pays
    assert not shorter.pays


def test_an_edit_that_does_not_pay_says_what_it_would_have_cost() -> None:
    trade = edit(rates("claude-sonnet-5-5"), removed=1_000, behind=50_000, warm=True, further=10)
    assert str(trade) == "kept: would cost $0.12 to save $0.0011"


def test_a_cold_cache_makes_the_same_edit_free() -> None:
    assert edit(rates("claude-sonnet-5-5"), removed=1_000, behind=50_000, warm=False, further=0).pays


@given(removed=COUNTS, behind=COUNTS, further=st.integers(0, 500))
def test_an_edit_of_what_was_never_sent_never_costs_anything(removed: int, behind: int, further: int) -> None:
    assert edit(rates("claude-haiku-4-5"), removed=removed, behind=behind, further=further).cost == 0


@pytest.mark.parametrize(("model", "step"), [("claude-opus-5", 43_000), ("claude-opus-5-5", 62_000)])
def test_old_history_goes_in_the_step_that_costs_least_in_the_long_run(model: str, step: int) -> None:
    """Down to 40,000 tokens at 2,000 a request."""
    cut = step_cut(rates(model), prompt=40_000 + step, cuttable=10**6, growth=2_000, further=30, warm=True)
    assert cut.cut == pytest.approx(step, rel=0.02)


def test_a_prompt_that_must_shrink_is_cut_at_least_that_far() -> None:
    cut = step_cut(
        rates("claude-sonnet-5-5"), prompt=210_000, cuttable=150_000, growth=10, further=5, warm=True, limit=100_000
    )
    assert cut.cut >= 110_000
    assert cut.fits


def test_a_prompt_that_cannot_shrink_far_enough_says_so() -> None:
    cut = step_cut(
        rates("claude-sonnet-5-5"), prompt=210_000, cuttable=50_000, growth=10, further=5, warm=True, limit=100_000
    )
    assert (cut.cut, cut.fits) == (50_000, False)


@given(prompt=COUNTS, cuttable=COUNTS, growth=COUNTS, further=st.integers(0, 100), warm=st.booleans())
def test_a_cut_never_takes_more_than_there_is(
    prompt: int, cuttable: int, growth: int, further: int, warm: bool
) -> None:
    cuttable = min(cuttable, prompt)
    cut = step_cut(
        rates("claude-sonnet-5-5"), prompt=prompt, cuttable=cuttable, growth=growth, further=further, warm=warm
    )
    assert 0 <= cut.cut <= cuttable
