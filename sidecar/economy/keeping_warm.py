"""Is it worth to keep a prompt cache alive over a pause.

The *idle mark*: shortly before the five minutes are over, one request without output (`max_tokens: 0`) that ends with
Claude's answer, marked for an hour. It reads the prefix and writes only the answer, and by the rule that an entry is
the whole prefix up to its marker, all of it then lives an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sidecar.accounts.prices import Rates
from sidecar.ledger.money import dollars

IDLE_SECONDS: Final = 280.0
"""After a request's start. Lifetimes count from there, and sending takes a moment too."""
LIKELY: Final = Fraction(1, 2)
"""Every conversation ends in a silence, and a mark there is lost: one that never paused before is kept warm only where
most silences of its client end within the hour."""


@dataclass(frozen=True, slots=True)
class IdleMark:
    """One request to keep a conversation warm: its price, and what it saves on average. Pico-dollars."""

    prefix: int
    """Tokens that it reads."""
    answer: int
    """Tokens that it writes for an hour."""
    covered: int
    """Leading tokens that live an hour already."""
    chance: Fraction
    """That the conversation goes on within the hour, given that it has paused."""
    cost: int
    saves: int
    left: int
    """What may still be spent on this conversation."""
    returned: bool
    """Whether it has paused and gone on before."""

    @property
    def pays(self) -> bool:
        return self.saves > self.cost and self.cost <= self.left and (self.returned or self.chance >= LIKELY)

    def __str__(self) -> str:
        odds = f"{float(self.chance):.0%} return within the hour"
        if self.pays:
            return f"kept warm for {dollars(self.cost)}: saves {dollars(self.saves)} on average, {odds}"
        if self.cost > self.left:
            return f"left to expire: {dollars(self.cost)} is more than the {dollars(self.left)} of its budget left"
        if self.saves > self.cost:
            return f"left to expire: it never paused before, and only {odds}"
        return f"left to expire: would cost {dollars(self.cost)} to save {dollars(self.saves)}, {odds}"


def idle_mark(
    rates: Rates, *, prefix: int, answer: int, covered: int, chance: Fraction, left: int, returned: bool
) -> IdleMark:
    """`prefix` and `answer` are the last request and its answer, in tokens; `left` is in pico-dollars."""
    cost = prefix * rates.cache_read + answer * rates.cache_write_1h
    spared = max(0, prefix + answer - covered) * (rates.cache_write_5m - rates.cache_read)
    return IdleMark(prefix, answer, covered, chance, cost, int(spared * chance), left, returned)
