"""A cache is kept over a pause only where that pays on average and is within its budget."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from sidecar.accounts.prices import Prices
from sidecar.economy.keeping_warm import IdleMark, idle_mark

RATES = Prices().row("claude-sonnet-5-5", datetime(2026, 11, 22, tzinfo=UTC)).base
CENT = 10**10


def mark(
    *, chance: Fraction = Fraction(1, 4), covered: int = 0, left: int = 25 * CENT, returned: bool = True
) -> IdleMark:
    return idle_mark(RATES, prefix=100_000, answer=500, covered=covered, chance=chance, left=left, returned=returned)


def test_a_long_prompt_whose_conversation_may_go_on_is_kept() -> None:
    kept = mark()
    assert kept.pays
    assert str(kept) == "kept warm for $0.012: saves $0.060 on average, 25% return within the hour"


def test_the_odds_of_a_conversation_that_hardly_returns_let_it_expire() -> None:
    left = mark(chance=Fraction(1, 50))
    assert not left.pays
    assert str(left) == "left to expire: would cost $0.012 to save $0.0048, 2% return within the hour"


def test_what_lives_an_hour_already_need_not_be_kept() -> None:
    assert not mark(covered=99_000).pays


def test_a_spent_budget_ends_it() -> None:
    left = mark(left=CENT)
    assert not left.pays
    assert "budget" in str(left)


def test_a_conversation_that_never_paused_is_kept_only_where_most_return() -> None:
    assert not mark(returned=False).pays
    assert str(mark(returned=False)) == "left to expire: it never paused before, and only 25% return within the hour"
    assert mark(returned=False, chance=Fraction(3, 5)).pays
