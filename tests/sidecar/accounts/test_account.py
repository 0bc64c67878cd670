"""Accounts: the layers' savings are baseline minus bill, always and exactly."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.accounts.account import (
    UNBILLED,
    Account,
    Reduction,
    answered,
    as_marked,
    cut_short,
    settled,
    spared,
    spent,
    uncached,
)
from sidecar.accounts.prices import Cost, Prices
from sidecar.exchange import Usage

PRICES = Prices()
NOW = datetime(2026, 11, 22, tzinfo=UTC)
OPUS, SONNET, HAIKU = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"
KINDS = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
MTOK = 10**6


def price(model: str, usage: Usage) -> Cost:
    return PRICES.cost(model, usage, NOW)


counts = st.integers(0, 300_000)
usages = st.builds(Usage, counts, counts, counts, counts, counts, web_searches=st.integers(0, 3))
models = st.sampled_from([OPUS, SONNET, HAIKU, "claude-sonnet-4-5", "house-model"])
reductions = st.lists(
    st.builds(
        Reduction,
        st.sampled_from(["boilerplate", "file_references", "size_limits", "diff_first"]),
        st.integers(-50_000, 200_000),
        st.sampled_from(KINDS),
    ),
    max_size=6,
)
costs = st.integers(0, 10**15)


@given(usages, models, models, reductions, st.sampled_from([uncached, as_marked]))
def test_savings_sum_to_baseline_minus_bill_in_picodollars_and_in_whole_microdollars(
    usage: Usage, model: str, asked: str, cut: Sequence[Reduction], plain: Callable[[Usage], Usage]
) -> None:
    account = answered(price, usage, model=model, model_asked=asked, reductions=cut, plain=plain)
    for exact in (account, account.in_micro_usd()):
        assert sum(saved for _, saved in exact.savings) == exact.baseline - exact.bill
    assert account.bill == price(model, usage).total
    assert account.estimated == (model == "house-model")


@given(costs, st.lists(st.tuples(st.sampled_from("abcd"), costs), max_size=8))
def test_rounding_moves_no_figure_by_more_than_one_microdollar(baseline: int, steps: list[tuple[str, int]]) -> None:
    exact = settled(baseline, steps)
    rounded = exact.in_micro_usd()
    assert abs(rounded.baseline * MTOK - exact.baseline) <= MTOK // 2
    assert abs(rounded.bill * MTOK - exact.bill) <= MTOK // 2
    micro = dict(rounded.savings)
    assert all(abs(micro.get(layer, 0) * MTOK - saved) <= MTOK for layer, saved in exact.savings)
    assert list(micro) == [layer for layer, _ in exact.savings if layer in micro]


@given(usages, models)
def test_a_request_that_no_layer_touched_saved_nothing(usage: Usage, model: str) -> None:
    account = answered(price, usage, model=model, model_asked=model, plain=as_marked)
    assert (account.saved, account.savings) == (0, ())


def test_caching_alone_saves_the_difference_to_plain_input() -> None:
    account = answered(price, Usage(1_000, 90_000, 9_000, 0, 1_000), model=OPUS, model_asked=OPUS)
    assert account.baseline == 420_000 * MTOK
    assert account.bill == 87_000 * MTOK
    assert account.savings == (("prompt_cache", 333_000 * MTOK),)


@pytest.mark.parametrize(("kind", "dollars_per_mtok"), list(zip(KINDS, (4, 0.2, 5, 8), strict=True)))
def test_a_token_kept_out_is_worth_what_it_would_really_have_paid(kind: str, dollars_per_mtok: float) -> None:
    cut = [Reduction("file_references", 10_000, kind)]  # type: ignore[arg-type]
    account = answered(price, Usage(10, 50_000, 500), model=OPUS, model_asked=OPUS, reductions=cut, plain=as_marked)
    assert account.savings == (("file_references", round(10_000 * dollars_per_mtok * MTOK)),)


def test_a_layer_that_adds_text_is_charged_for_it() -> None:
    added = [Reduction("diff_first", -100, "cache_read_tokens")]
    account = answered(price, Usage(0, 5_000), model=OPUS, model_asked=OPUS, reductions=added, plain=as_marked)
    assert account.savings == (("diff_first", -100 * 200_000),)


def test_layers_appear_in_the_order_they_acted_and_each_once() -> None:
    cut = [Reduction(layer, 100, "input_tokens") for layer in ("boilerplate", "file_references", "boilerplate")]
    account = answered(price, Usage(10, 1_000), model=HAIKU, model_asked=OPUS, reductions=cut)
    assert [layer for layer, _ in account.savings] == [
        "prompt_cache",
        "boilerplate",
        "file_references",
        "smart_routing",
    ]


def test_staying_below_a_price_step_is_the_savings_of_the_layer_that_did_it() -> None:
    cut = [Reduction("file_references", 1, "input_tokens")]
    account = answered(price, Usage(100_000), model=HAIKU, model_asked=HAIKU, reductions=cut)
    assert account.savings == (("file_references", 100_001 * 500_000 - 100_000 * 100_000),)


def test_an_answer_from_the_response_cache_costs_nothing_and_saves_all() -> None:
    plain = price(OPUS, uncached(Usage(0, 90_000, 10_000, 0, 1_000)))
    account = spared("response_cache", plain)
    assert (account.bill, account.baseline) == (0, 420_000 * MTOK)
    assert account.savings == (("response_cache", account.baseline),)


def test_the_gateways_own_spending_is_a_negative_saving() -> None:
    account = spent("prompt_cache", price(OPUS, Usage(0, 100_000)))
    assert (account.baseline, account.bill) == (0, 20_000 * MTOK)
    assert account.savings == (("prompt_cache", -20_000 * MTOK),)


def test_an_account_that_does_not_add_up_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="do not sum"):
        Account(100, 50, (("prompt_cache", 49),))
    assert UNBILLED.saved == 0


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (Usage(), Usage(input_tokens=700, output_tokens=40)),
        (Usage(3, 600, 90, output_tokens=1), Usage(3, 600, 90, output_tokens=40)),
        (Usage(3, 600, 90, output_tokens=55), Usage(3, 600, 90, output_tokens=55)),
    ],
)
def test_a_stream_left_early_is_counted_with_what_is_known(reported: Usage, expected: Usage) -> None:
    assert cut_short(reported, prompt_tokens=700, output_tokens=40) == expected


def test_an_estimate_anywhere_in_the_bill_marks_the_account() -> None:
    assert answered(price, Usage(1), model=OPUS, model_asked=OPUS, estimated=True).estimated
    assert answered(price, Usage(1), model="house-model", model_asked="house-model").in_micro_usd().estimated
    assert spared("response_cache", price("house-model", Usage(1))).estimated
