"""Does it pay to let Claude think less about a few turns: another effort loses the messages' part of the cache."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sidecar.accounts.prices import Rates
from sidecar.ledger.money import dollars

LESS_OUTPUT: Final = Fraction(1, 3)
"""Of an answer, at the lowest effort: documentation has a third to a half less."""


@dataclass(frozen=True, slots=True)
class LowerEffort:
    """A stretch of turns at the lowest effort. Pico-dollars."""

    turns: int
    """Those at lower effort, this one included."""
    rewritten: int
    """Tokens of messages that are written anew for it: now, and on the way back."""
    cost: int
    saves: int

    @property
    def pays(self) -> bool:
        return self.saves > self.cost

    def __str__(self) -> str:
        turns = f"{self.turns} turn{'s' if self.turns != 1 else ''}"
        if self.pays:
            return f"lowered: {turns} save {dollars(self.saves)} and cost {dollars(self.cost)}"
        return f"kept: {turns} would save {dollars(self.saves)} and cost {dollars(self.cost)} in cache"


def lower_effort(
    rates: Rates, *, warm: int, messages: int, growth: int, output: int, turns: int, lowered: bool
) -> LowerEffort:
    """`warm` tokens of messages are in the cache at the usual effort, all messages have `messages`, each turn adds
    `growth` and is answered with `output`. `lowered` says that the request before had the lower effort already: then
    the way down is paid for."""
    back = messages + turns * growth
    now = 0 if lowered else warm
    cost = (now + (0 if lowered else back)) * (rates.cache_write_5m - rates.cache_read)
    return LowerEffort(turns, now + back, cost, int(turns * output * LESS_OUTPUT) * rates.output)
