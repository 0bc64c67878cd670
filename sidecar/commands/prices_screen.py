"""The price table on a terminal and for scripts: US dollars per million tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sidecar.accounts.prices import PriceRow, Prices, Rates

KINDS: Final = {
    "input": "input",
    "cache_read": "cached",
    "cache_write_5m": "write 5 m",
    "cache_write_1h": "write 1 h",
    "output": "output",
}
"""Fields of `Rates`, and what a reader calls them."""

MICRO_USD: Final = 10**6
"""A rate of so many pico-dollars a token is one dollar per million tokens."""


def prices_screen(prices: Prices, models: Sequence[str], at: datetime) -> RenderableType:
    """`models` in that order, with a line of its own for each size of prompt that has its own rates."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    for name in KINDS.values():
        table.add_column(name, justify="right", no_wrap=True)
    for model in models:
        row = prices.row(model, at)
        for over, rates in _sizes(row):
            name = f"  above {over:,} tokens" if over else f"{model} ~" if row.estimated else model
            table.add_row(Text(name), *(f"{getattr(rates, kind) / MICRO_USD:g}" for kind in KINDS))
    return Group(table, *map(Text, _remarks(prices, models, at)))


def _remarks(prices: Prices, models: Sequence[str], at: datetime) -> Iterator[str]:
    edition = prices.edition(at)
    yield f"US dollars per million tokens on {at:%Y-%m-%d}, from {edition.package}."
    yield f"Its newest price is of {edition.newest_price}; `pip install -U genai-prices` brings newer ones."
    rows = [prices.row(model, at) for model in models]
    if any(row.tiers for row in rows):
        yield "A prompt above the size given, cached or not, makes the whole request cost that."
    guessed = sorted({row.model for row in rows if row.estimated})
    if guessed:
        yield f"~ no published price: estimated as {', '.join(guessed)}."


def prices_json(prices: Prices, models: Sequence[str], at: datetime) -> dict[str, Any]:
    edition = prices.edition(at)
    return {
        "package": edition.package,
        "newest_price": edition.newest_price.isoformat(),
        "on": f"{at:%Y-%m-%d}",
        "unit": "USD per million tokens",
        "models": {model: _row_json(prices.row(model, at)) for model in models},
    }


def _row_json(row: PriceRow) -> dict[str, Any]:
    tiers = [{"above_prompt_tokens": over, **_rates_json(rates)} for over, rates in _sizes(row) if over]
    return {"priced_as": row.model, "estimated": row.estimated, **_rates_json(row.base), "tiers": tiers}


def _rates_json(rates: Rates) -> dict[str, float]:
    return {kind: getattr(rates, kind) / MICRO_USD for kind in KINDS}


def _sizes(row: PriceRow) -> Iterator[tuple[int, Rates]]:
    yield 0, row.base
    yield from row.tiers
