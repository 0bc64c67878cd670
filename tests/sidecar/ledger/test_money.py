"""Money is exact or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ledger.money import LARGEST_PICOS, dollars, micros_of, picos_of, usd_text

PICOS = st.integers(-LARGEST_PICOS, LARGEST_PICOS)


@given(PICOS)
def test_an_amount_comes_back_as_it_went_in(picos: int) -> None:
    assert picos_of(micros_of(picos)) == picos


@given(PICOS)
def test_dollars_are_written_exactly_and_plainly(picos: int) -> None:
    text = usd_text(picos)
    assert Decimal(text) == micros_of(picos) / 10**6
    assert "e" not in text.lower()


@pytest.mark.parametrize(
    ("picos", "text"),
    [(0, "0"), (10_000, "0.00000001"), (-10_000, "-0.00000001"), (87 * 10**9, "0.087"), (3 * 10**12, "3")],
)
def test_dollars_have_no_needless_digits(picos: int, text: str) -> None:
    assert usd_text(picos) == text


@pytest.mark.parametrize(
    "micros", ["0.0000001", "1e-60", "NaN", "Infinity", "1e13", "-1e13", "1e999999", f"1.{'1' * 70}"]
)
def test_an_amount_that_cannot_be_kept_exactly_is_refused(micros: str) -> None:
    with pytest.raises(ValueError, match="micro-dollars"):
        picos_of(Decimal(micros))


def test_a_token_of_the_cheapest_price_is_a_whole_number() -> None:
    a_cent_a_million_tokens = Decimal("0.01")
    half_price_in_the_us = a_cent_a_million_tokens * Decimal("0.5") * Decimal("1.1")
    assert picos_of(half_price_in_the_us) == 5500


@pytest.mark.parametrize(
    ("picos", "read"),
    [
        (0, "$0.00"),
        (1, "$0.0000000000010"),
        (280_000_000, "$0.00028"),
        (8_900_000_000, "$0.0089"),
        (-19_800_000_000, "-$0.020"),
        (990_000_000_000, "$0.99"),
        (12_345_678_000_000_000, "$12,345.68"),
    ],
)
def test_amounts_are_written_with_digits_that_say_something(picos: int, read: str) -> None:
    assert dollars(picos) == read
