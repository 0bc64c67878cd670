"""The measured worth of the layers: right on known figures, honest about chance, silent with too few."""

from __future__ import annotations

import random
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.accounts.holdout_report import ENOUGH, measured, student
from sidecar.ledger.arms import Arms, Conversation

DOLLAR = 10**12


def conversations(costs: list[int], requests: int = 1) -> tuple[Conversation, ...]:
    return tuple(Conversation(requests, cost, 2 * cost) for cost in costs)


def test_the_difference_is_per_request_and_not_per_conversation() -> None:
    layers = (Conversation(10, 10 * DOLLAR, 30 * DOLLAR), *conversations([DOLLAR] * 19))
    holdout = conversations([2 * DOLLAR] * 20)
    report = measured(Arms(layers, holdout))
    assert report.layers.cost_a_request == DOLLAR
    assert report.saved_a_request == DOLLAR
    assert report.saved_percent == Decimal("50.0")
    assert report.interval_picos == (DOLLAR, DOLLAR)  # no conversation is away from its arm's mean
    assert report.interval_percent == pytest.approx((50, 50))


def test_the_interval_is_welch_s_where_every_conversation_has_one_request() -> None:
    layers = [(number % 5 + 1) * DOLLAR for number in range(20)]
    holdout = [(number % 5 + 3) * DOLLAR for number in range(30)]
    report = measured(Arms(conversations(layers), conversations(holdout)))
    # variances 2*20/19 and 2*30/29, error sqrt(2.105/20 + 2.069/30) = 0.41741; 40.9 degrees of freedom: t = 2.0197
    assert report.interval_picos is not None
    assert [end / DOLLAR for end in report.interval_picos] == pytest.approx([1.1570, 2.8430], abs=2e-3)


@pytest.mark.parametrize(
    ("freedom", "published"), [(10, 2.2281), (19, 2.0930), (30, 2.0423), (100, 1.9840), (10**6, 1.9600)]
)
def test_quantiles_are_those_of_the_tables(freedom: int, published: float) -> None:
    assert student(freedom) == pytest.approx(published, abs=1e-3)


@pytest.mark.parametrize(("layers", "holdout"), [(0, 0), (ENOUGH, ENOUGH - 1), (ENOUGH - 1, 500), (1000, 0)])
def test_with_too_few_conversations_no_interval_is_told(layers: int, holdout: int) -> None:
    report = measured(Arms(conversations([DOLLAR] * layers), conversations([DOLLAR] * holdout)))
    assert not report.enough
    assert (report.interval_picos, report.interval_percent) == (None, None)


def test_arms_that_cost_nothing_have_no_percentage() -> None:
    report = measured(Arms(conversations([0] * 30), conversations([0] * 30)))
    assert (report.saved_percent, report.interval_percent, report.interval_picos) == (None, None, (0, 0))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    drawn = random.Random(4)

    def arm(count: int, a_request: float) -> tuple[Conversation, ...]:
        sizes = [drawn.randint(1, 40) for _ in range(count)]
        return tuple(
            Conversation(size, round(size * a_request * drawn.lognormvariate(0, 0.8) * DOLLAR), 0) for size in sizes
        )

    mean = 2.718281828 ** (0.8**2 / 2)
    held = 0
    for _ in range(200):
        report = measured(Arms(arm(150, 0.7), arm(40, 1.0)))
        assert report.interval_picos is not None
        held += report.interval_picos.low <= 0.3 * mean * DOLLAR <= report.interval_picos.high
    assert 175 <= held <= 199


def test_the_json_is_exact_money_and_rounded_statistics() -> None:
    report = measured(Arms(conversations([DOLLAR // 3] * 20), conversations([DOLLAR] * 10 + [2 * DOLLAR] * 10)))
    text = report.as_json()
    told = orjson.loads(text)
    assert b'"saved_per_request_usd":1.166666666667' in text
    assert told["layers"] == {
        "conversations": 20,
        "requests": 20,
        "cost_usd": 6.66666666666,
        "cost_per_request_usd": 0.333333333333,
    }
    assert told["enough"] is True
    assert told["saved_percent"] == 77.8
    assert len(told["saved_percent_interval"]) == len(told["saved_per_request_interval_usd"]) == 2
    assert told["counted_saving_per_request_usd"] == 0.333333333333


ARM = st.lists(
    st.builds(Conversation, st.integers(1, 100), st.integers(0, 10**16), st.integers(0, 10**16)),
    min_size=ENOUGH,
    max_size=ENOUGH + 10,
).map(tuple)


@settings(max_examples=60, deadline=None)
@given(ARM, ARM)
def test_the_figure_lies_within_its_interval_and_changes_sign_with_the_arms(
    layers: tuple[Conversation, ...], holdout: tuple[Conversation, ...]
) -> None:
    report, turned = measured(Arms(layers, holdout)), measured(Arms(holdout, layers))
    assert report.interval_picos is not None
    assert report.interval_picos.low - 2 <= report.saved_a_request <= report.interval_picos.high + 2
    assert report.saved_a_request == -turned.saved_a_request
    if report.interval_percent is not None:
        assert report.interval_percent.high <= 100
    orjson.loads(report.as_json())
