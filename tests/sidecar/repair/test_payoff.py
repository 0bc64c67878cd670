"""Keeping the prefix is chosen where it is cheaper."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.accounts.prices import Prices
from sidecar.repair.payoff import Sizes, payoff

RATES = Prices().row("claude-sonnet-5-5", datetime(2026, 11, 22, tzinfo=UTC)).base


@pytest.mark.parametrize(
    ("sizes", "pays"),
    [
        (Sizes(behind=40_000, amendments=45, earlier=0, grown=0), True),
        (Sizes(behind=40_000, amendments=45, earlier=4_500, grown=0), True),
        (Sizes(behind=200, amendments=300, earlier=0, grown=0), False),
        # A client that leaves out most of what stands behind: few tokens are written, and many fewer read.
        (Sizes(behind=40_000, amendments=60, earlier=0, grown=-30_000), False),
        (Sizes(behind=40_000, amendments=60, earlier=0, grown=-3_000), True),
        (Sizes(behind=40_000, amendments=45, earlier=30_000, grown=0), False),
    ],
)
def test_the_cheaper_way_is_chosen(sizes: Sizes, pays: bool) -> None:
    assert payoff(sizes, RATES, further=10).pays is pays


def test_the_two_ways_are_priced_by_hand() -> None:
    # sonnet 5.5: $0.10 read and $2.50 written per million tokens, so 100,000 and 2,500,000 pico-dollars a token.
    costs = payoff(Sizes(behind=10_000, amendments=50, earlier=100, grown=20), RATES, further=4)
    assert costs.follow.cost == 9_920 * 2_400_000
    assert costs.follow.saves == 80 * 5 * 100_000
    assert costs.tell.saves == 50 * (2_500_000 + 4 * 100_000)


@given(*[st.integers(0, 100_000)] * 3, st.integers(-100_000, 100_000), st.integers(0, 50))
def test_the_choice_is_that_of_the_whole_bill(
    behind: int, amendments: int, earlier: int, grown: int, further: int
) -> None:
    earlier = min(earlier, behind)
    rewritten = max(0, behind - earlier + grown)
    grown = rewritten - behind + earlier
    told = behind * RATES.cache_read * (1 + further)
    told += amendments * (RATES.cache_write_5m + RATES.cache_read * further)
    followed = rewritten * (RATES.cache_write_5m + RATES.cache_read * further)
    assert payoff(Sizes(behind, amendments, earlier, grown), RATES, further).pays is (told < followed)
