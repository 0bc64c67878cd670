"""Exact money: micro-dollars as Decimal at the edge, whole pico-dollars (1e-12 $) inside.

The cheapest token costs 0.01 micro-dollars ($0.01 a million tokens), and modifiers (batch 0.5x, region 1.1x) divide it
further, so micro-dollars are not fine enough; pico-dollars hold every list price of up to six decimals exactly. As
64-bit integers they are the one number both databases add without rounding: SQLite has no decimal type. One row may
hold up to 9.2 million dollars; sums are taken in two halves (see `queries`) and have no bound that matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import NamedTuple

PICOS_PER_MICRO = 10**6
PICOS_PER_USD = 10**12
LARGEST_PICOS = 2**63 - 1

_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
_PICO = Decimal("0.000001")


class Spent(NamedTuple):
    """What requests cost together."""

    picos: int = 0
    estimated: bool = False
    """Some of it is an estimate."""

    @classmethod
    def together(cls, parts: Iterable[Spent]) -> Spent:
        parts = tuple(parts)
        return cls(sum(part.picos for part in parts), any(part.estimated for part in parts))

    def __str__(self) -> str:
        return dollars(self.picos, estimated=self.estimated)


def picos_of(micros: Decimal) -> int:
    """Whole pico-dollars. Raises ValueError for an amount that is finer than that, not finite, or beyond 64 bits."""
    try:
        picos = int(_EXACT.quantize(micros, _PICO).scaleb(6, _EXACT))
    except (ArithmeticError, ValueError):
        raise ValueError(f"{micros} micro-dollars is no amount, or finer than a pico-dollar: round it first") from None
    if not -LARGEST_PICOS <= picos <= LARGEST_PICOS:
        raise ValueError(f"{micros} micro-dollars is more than one row can hold")
    return picos


def micros_of(picos: int) -> Decimal:
    """Micro-dollars, exactly."""
    return _EXACT.scaleb(Decimal(picos), -6)


def usd_text(picos: int) -> str:
    """US dollars in plain digits, exact, without exponent or trailing zeros: `0.087`, `-0.00000001`, `3`."""
    if not picos:
        return "0"
    whole, fraction = divmod(abs(picos), PICOS_PER_USD)
    text = f"{whole}.{fraction:012d}".rstrip("0").rstrip(".") if fraction else str(whole)
    return f"-{text}" if picos < 0 else text


def dollars(picos: int, *, estimated: object = False) -> str:
    """For a reader: whole cents from a dollar on, below it two digits that say something: `$0.0089`, `$0.00028`;
    `~$0.0089` where it is `estimated`, or a part of it."""
    amount = abs(picos)
    digits = 2 if amount >= PICOS_PER_USD or not amount else max(2, 14 - len(str(amount)))
    unit = 10 ** (13 - digits)
    whole, rest = divmod(10 * amount, unit)
    if 2 * rest > unit or (2 * rest == unit and whole % 2):  # half to even, as decimals are rounded
        whole += 1
    written, cents = divmod(whole, 10**digits)
    return f"{'~' if estimated else ''}{'-' if picos < 0 else ''}${written:,}.{cents:0{digits}d}"
