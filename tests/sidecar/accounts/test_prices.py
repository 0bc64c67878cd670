"""Prices: exact, fast to ask, and equal to the package's own arithmetic."""

import importlib.metadata
import socket
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import genai_prices
import pytest
from genai_prices.types import TimeOfDateConstraint
from hypothesis import given
from hypothesis import strategies as st

from sidecar.accounts import prices as prices_module
from sidecar.accounts.prices import Prices, Rates, micro_usd, usd
from sidecar.exchange import Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PRICES = Prices()
MODELS = [row.model for row in PRICES.table(NOW)]


def package_cost(
    model: str, usage: Usage, at: datetime, context: dict[str, str] | None = None
) -> tuple[Decimal, Decimal]:
    """(tokens, searches) in dollars, by genai-prices itself."""
    tokens = genai_prices.Usage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_tokens=usage.output_tokens,
        web_searches=usage.web_searches,
    )
    priced = genai_prices.calc_price(
        tokens, model, provider_id="anthropic", genai_request_timestamp=at, price_context=context
    )
    return priced.total_price, priced.output_price


counts = st.integers(0, 150_000)
usages = st.builds(Usage, counts, counts, counts, counts, counts, web_searches=st.integers(0, 20))
moments = st.datetimes(datetime(2025, 6, 1), datetime(2027, 6, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware by timezones=


@given(st.sampled_from(MODELS), usages, moments, st.sampled_from(["standard", "fast"]), st.booleans())
def test_a_cost_is_what_the_package_itself_computes(
    model: str, usage: Usage, at: datetime, speed: str, batch: bool
) -> None:
    context = {"speed": speed} | ({"processing": "batch"} if batch else {})
    total, output = package_cost(model, usage, at, context)
    cost = PRICES.cost(model, usage, at, speed=speed, service_tier="batch" if batch else "priority")
    assert usd(cost.total) == total
    assert usd(cost.output) == output
    assert not cost.estimated


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("claude-opus-5-5", Usage(1_000, 90_000, 9_000, 0, 1_000), "0.087"),
        ("claude-opus-5-5", Usage(1_000, 90_000, 0, 9_000, 1_000), "0.114"),
        ("claude-haiku-5-5", Usage(100_000, output_tokens=1_000), "0.0105"),
        ("claude-haiku-5-5", Usage(100_001, output_tokens=1_000), "0.0525005"),
        ("claude-haiku-5-5", Usage(1, 100_000, output_tokens=1_000), "0.0075005"),
        ("claude-sonnet-4-5-20250929", Usage(1_000_000), "6"),
        ("claude-opus-5-5", Usage(web_searches=3), "0.03"),
    ],
)
def test_bills_checked_by_hand(model: str, usage: Usage, dollars: str) -> None:
    assert usd(PRICES.cost(model, usage, NOW).total) == Decimal(dollars)


def test_a_cost_says_what_each_kind_of_token_came_to() -> None:
    cost = PRICES.cost("claude-opus-5-5", Usage(1_000, 90_000, 4_000, 5_000, 1_000), NOW)
    kinds = (cost.input, cost.cache_read, cost.cache_write_5m, cost.cache_write_1h, cost.output)
    assert [usd(kind) for kind in kinds] == [Decimal(d) for d in ("0.004", "0.018", "0.02", "0.04", "0.02")]


def test_prices_follow_the_day_of_the_request_in_utc() -> None:
    long_prompt = Usage(300_000)
    day_before = datetime(2026, 3, 12, 23, 59, tzinfo=UTC)
    assert usd(PRICES.cost("claude-opus-4-6", long_prompt, day_before).total) == Decimal(3)
    assert usd(PRICES.cost("claude-opus-4-6", long_prompt, day_before + timedelta(minutes=1)).total) == Decimal("1.5")
    same_instant_elsewhere = day_before.astimezone(timezone(timedelta(hours=9)))
    assert usd(PRICES.cost("claude-opus-4-6", long_prompt, same_instant_elsewhere).total) == Decimal(3)


def test_fast_mode_batches_and_the_us_region_have_their_own_rates() -> None:
    usage = Usage(1_000_000)
    assert usd(PRICES.cost("claude-opus-5-5", usage, NOW, speed="fast").total) == 8
    assert usd(PRICES.cost("claude-opus-5-5", usage, NOW, service_tier="batch").total) == 2
    assert usd(PRICES.cost("claude-opus-5-5", usage, NOW, inference_geo="us").total) == Decimal("4.4")
    assert usd(PRICES.cost("claude-opus-5-5", usage, NOW, inference_geo="not_available").total) == 4


def test_an_unknown_model_is_priced_as_the_newest_priced_of_its_line_and_marked() -> None:
    prices = Prices(lambda _: ["claude-opus-9", "claude-opus-5-5", "claude-opus-5"])
    cost = prices.cost("claude-opus-10", Usage(1_000_000), NOW)
    assert (usd(cost.total), cost.estimated) == (Decimal(4), True)
    assert prices.row("claude-opus-10", NOW).model == "claude-opus-5-5"


def test_a_model_of_no_known_line_is_priced_as_the_dearest() -> None:
    row = Prices().row("house-model", NOW)
    assert row.estimated
    assert row.base.output == max(known.base.output for known in PRICES.table(NOW))


def test_the_row_gives_the_factors_that_caching_is_decided_by() -> None:
    opus, fable, haiku = (PRICES.row(f"claude-{line}", NOW) for line in ("opus-5-5", "fable-5-2", "haiku-5-5"))
    assert opus.base == Rates(4_000_000, 200_000, 5_000_000, 8_000_000, 20_000_000, 10**10)
    assert opus.base.read_factor == Fraction(1, 20)
    assert opus.base.write_factor("5m") == Fraction(5, 4)
    assert opus.base.write_factor("1h") == 2
    assert fable.base.read_factor == Fraction(1, 40)
    assert haiku.rates(100_000).input * 5 == haiku.rates(100_001).input


def test_the_whole_table_can_be_counted_in_whole_picodollars_also_with_the_regional_surcharge() -> None:
    for model in MODELS:
        for tier in ("standard", "batch"):
            for speed in ("standard", "fast"):
                assert PRICES.row(model, NOW, speed=speed, service_tier=tier, inference_geo="us").base.output > 0


def test_no_claude_price_depends_on_the_time_of_day() -> None:
    for model in prices_module._anthropic().models:
        dated = [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
        assert not any(isinstance(price.constraint, TimeOfDateConstraint) for price in dated)


def test_the_edition_names_the_installed_package_and_its_newest_price_in_force() -> None:
    edition = PRICES.edition(NOW)
    assert edition.package == f"genai-prices {importlib.metadata.version('genai-prices')}"
    assert date(2026, 11, 1) <= edition.newest_price <= NOW.date()


def test_pricing_never_opens_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("pricing opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    prices_module._anthropic.cache_clear()
    prices = Prices()
    prices.load()
    assert prices.cost("claude-sonnet-5-5", Usage(10), NOW).total > 0


@given(st.integers(0, 10**22))
def test_units_convert_exactly(picodollars: int) -> None:
    assert usd(picodollars) * 10**12 == picodollars
    assert micro_usd(picodollars) * 10**6 == picodollars
