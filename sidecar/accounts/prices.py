"""What tokens cost: the rates of the `genai-prices` package as exact integers, by model, day and size of prompt.

Money is an integer number of pico-dollars (10**-12 USD): a rate of one dollar per million tokens is 10**6 pico-dollars
a token, so every published rate, also halved for batches or with a regional surcharge, times any number of tokens stays
whole.

The package counts cached tokens inside `input_tokens` and one-hour writes inside `cache_write_tokens`; Anthropic's
usage, and ours, keeps the counters apart. That difference is dissolved here, once, when rates are read. The package's
own arithmetic takes about fifty times longer than one multiplication a counter; the tests hold the two equal.

Nothing is ever downloaded: the table is the one inside the installed package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

from sidecar.exchange import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

PICODOLLARS = 10**12
"""In one US dollar."""

INFERENCE_GEO_FACTORS = {"us": Decimal("1.1")}
"""By `usage.inference_geo`, on every kind of token. The package does not know it (docs: data residency, pricing)."""

SameLine = Callable[[str], Iterable[str]]
"""Gives the ids of a model's line (haiku, sonnet, opus, ...), newest first, for a model without a price of its own."""


def usd(picodollars: int) -> Decimal:
    """Exact US dollars."""
    return Decimal(picodollars).scaleb(-12)


def micro_usd(picodollars: int) -> Decimal:
    """Exact micro-dollars, as the ledger keeps them."""
    return Decimal(picodollars).scaleb(-6)


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-dollars a token (and a web search) for one size of prompt; equal to micro-dollars per million tokens."""

    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    web_search: int

    @property
    def read_factor(self) -> Fraction:
        """What a token read from the cache costs, as a share of a plain input token: 1/10, 1/20 or 1/40."""
        return Fraction(self.cache_read, self.input)

    def write_factor(self, ttl: Literal["5m", "1h"]) -> Fraction:
        """What a token written to the cache costs, as a multiple of a plain input token: 5/4 or 2."""
        return Fraction(self.cache_write_1h if ttl == "1h" else self.cache_write_5m, self.input)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One model's rates on one day."""

    model: str
    """The id the rates were published for; another than asked when `estimated`."""
    base: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    """(prompt tokens, rates): a prompt of more tokens than that pays these rates for the whole request. Ascending."""
    estimated: bool = False
    """True where the model has no price of its own and another's is used."""

    def rates(self, prompt_tokens: int) -> Rates:
        """The rates of a request whose prompt, cached or not, has that many tokens."""
        for start, rates in reversed(self.tiers):
            if prompt_tokens > start:
                return rates
        return self.base


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request costs, in pico-dollars, by kind of token."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    web_search: int = 0
    estimated: bool = False
    """True where the price is another model's."""

    @property
    def total(self) -> int:
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.output + self.web_search


@dataclass(frozen=True, slots=True)
class Edition:
    """Which table is in use."""

    package: str
    """Name and version, as `genai-prices 0.2.3`."""
    newest_price: date
    """The newest dated price in force: the table knows the world at least up to this day."""


class Prices:
    """The price table. Loading it takes about 0.1 to 0.5 s, once, on first use; see `load`."""

    def __init__(self, same_line: SameLine = lambda _: ()) -> None:
        self._same_line = same_line
        self._row = lru_cache(maxsize=1024)(self._find_row)

    def load(self) -> None:
        """Read the table now, for a thread to do at start, so that no request waits for it."""
        _anthropic()

    def row(
        self,
        model: str,
        at: datetime,
        *,
        speed: str | None = None,
        service_tier: str | None = None,
        inference_geo: str | None = None,
    ) -> PriceRow:
        """The rates in force at `at` (aware); the options are the fields of the same name in Anthropic's `usage`.

        An unknown model is priced as the newest priced model of its line; one of no known line as the dearest in the
        table, so that not knowing never understates a cost.
        """
        return self._row(model, at.astimezone(UTC).date(), speed, service_tier, inference_geo)

    def cost(
        self,
        model: str,
        usage: Usage,
        at: datetime,
        *,
        speed: str | None = None,
        service_tier: str | None = None,
        inference_geo: str | None = None,
    ) -> Cost:
        """What a request of this usage costs; options as for `row`."""
        row = self._row(model, at.astimezone(UTC).date(), speed, service_tier, inference_geo)
        rates = row.rates(usage.prompt_tokens)
        return Cost(
            usage.input_tokens * rates.input,
            usage.cache_read_tokens * rates.cache_read,
            usage.cache_write_5m_tokens * rates.cache_write_5m,
            usage.cache_write_1h_tokens * rates.cache_write_1h,
            usage.output_tokens * rates.output,
            usage.web_searches * rates.web_search,
            row.estimated,
        )

    def table(self, at: datetime) -> list[PriceRow]:
        """Every Claude model's row on that day, in the package's order."""
        return [self.row(model.id, at) for model in _anthropic().models]

    def edition(self, at: datetime) -> Edition:
        """The table's name and how new it is at least; prices announced for after `at` do not count."""
        from importlib.metadata import version

        starts = (start for provider in _providers() for start in _start_dates(provider))
        return Edition(
            f"genai-prices {version('genai-prices')}",
            max(start for start in starts if start <= at.astimezone(UTC).date()),
        )

    def _find_row(
        self, model: str, day: date, speed: str | None, service_tier: str | None, inference_geo: str | None
    ) -> PriceRow:
        context = {"processing": "batch"} if service_tier == "batch" else {}
        if speed is not None:
            context["speed"] = speed
        factor = INFERENCE_GEO_FACTORS.get(inference_geo or "", Decimal(1))
        if (known := _anthropic().find_model(model)) is not None:
            return _published(known, day, context, factor, estimated=False)
        for sibling in self._same_line(model):
            if (known := _anthropic().find_model(sibling)) is not None:
                return _published(known, day, context, factor, estimated=True)
        rows = (_published(known, day, context, factor, estimated=True) for known in _anthropic().models)
        return max(rows, key=lambda row: (row.base.output, row.base.input, row.model))


@cache
def _providers() -> list[Provider]:
    from genai_prices.data import providers

    return providers


@cache
def _anthropic() -> Provider:
    return next(provider for provider in _providers() if provider.id == "anthropic")


def _start_dates(provider: Provider) -> Iterable[date]:
    for model in provider.models:
        dated = [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
        for price in dated:
            if (start := getattr(price.constraint, "start_date", None)) is not None:
                yield start


def _published(model: ModelInfo, day: date, context: dict[str, str], factor: Decimal, *, estimated: bool) -> PriceRow:
    # Anthropic's prices change by the day, never within one, so midnight stands for all of it.
    price = model.get_prices(datetime.combine(day, time(), UTC), context)
    starts = sorted({tier.start for value in vars(price).values() for tier in getattr(value, "tiers", ())})
    tiers = tuple((start, _rates(price, start + 1, factor)) for start in starts)
    return PriceRow(model.id, _rates(price, 0, factor), tiers, estimated)


def _rates(price: ModelPrice, prompt_tokens: int, factor: Decimal) -> Rates:
    """The rates for a prompt of that size. A kind without a rate of its own pays the wider kind's."""

    def rate(key: str, wider: Decimal = Decimal(0)) -> Decimal:
        value = getattr(price, key)
        if value is None:
            return wider
        if isinstance(value, Decimal):
            return value
        above = (tier.price for tier in reversed(value.tiers) if prompt_tokens > tier.start)
        return Decimal(next(above, value.base))

    def a_token(per_million: Decimal) -> int:
        return _whole(per_million * factor * PICODOLLARS / 10**6)

    plain = rate("input_mtok")
    write = rate("cache_write_mtok", plain)
    return Rates(
        input=a_token(plain),
        cache_read=a_token(rate("cache_read_mtok", plain)),
        cache_write_5m=a_token(write),
        cache_write_1h=a_token(rate("cache_write_1h_mtok", write)),
        output=a_token(rate("output_mtok")),
        web_search=_whole(rate("web_searches_kcount") * PICODOLLARS / 1000),
    )


def _whole(picodollars: Decimal) -> int:
    if picodollars != int(picodollars):
        raise ValueError(f"a published price of {picodollars} pico-dollars is finer than this ledger counts")
    return int(picodollars)
