"""What another model costs while this one's cache is warm."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sidecar.accounts.prices import Prices
from sidecar.economy.switching import Candidate, Switch, switch

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def moving(stay: str, move: str, prompt: int, *, further: int = 20, output: int = 1_000) -> Switch:
    prices = Prices()
    return switch(
        Candidate(stay, prices.row(stay, NOW), warm=prompt - 2_000),
        Candidate(move, prices.row(move, NOW)),
        prompt=prompt,
        growth=2_000,
        output=output,
        further=further,
    )


@pytest.mark.parametrize(("prompt", "requests"), [(20_000, 3), (50_000, 6), (90_000, 9)])
def test_a_cheaper_model_pays_off_later_the_longer_the_warm_prompt(prompt: int, requests: int) -> None:
    answer = moving("claude-opus-5-5", "claude-sonnet-5-5", prompt)
    assert answer.break_even == pytest.approx(requests, abs=1)
    assert answer.pays


def test_a_side_step_to_haiku_is_cheaper_at_once() -> None:
    answer = moving("claude-opus-5-5", "claude-haiku-5-5", 90_000, further=0)
    assert answer.break_even == 1


def test_haiku_loses_that_where_a_long_prompt_makes_it_five_times_as_dear() -> None:
    assert not moving("claude-opus-5-5", "claude-haiku-5-5", 150_000, further=0, output=0).pays


def test_moving_for_a_single_request_says_what_it_would_have_cost() -> None:
    answer = moving("claude-opus-5-5", "claude-sonnet-5-5", 90_000, further=0)
    assert not answer.pays
    assert str(answer) == "stayed: 1 request would cost $0.24 on claude-sonnet-5-5, $0.048 on claude-opus-5-5"


def test_moving_that_pays_says_after_how_many_requests() -> None:
    assert str(moving("claude-opus-5-5", "claude-haiku-5-5", 20_000, further=1)).endswith("paid off after 1")
