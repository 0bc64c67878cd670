"""Whether keeping the prefix and telling the difference is cheaper than writing anew what stands behind a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sidecar.accounts.prices import Rates

FURTHER_TURNS: Final = 10
"""That a conversation is expected to have: a third of what recorded agent sessions have in the median, so that an
amendment must pay early."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens."""

    behind: int
    """Of all that was sent from the first changed block on, earlier amendments included."""
    amendments: int
    """Of what would be said now."""
    earlier: int
    """Of the amendments that were said before, and would be gone after a re-write."""
    grown: int
    """How much longer the client's text is now than the one that was sent; negative where it is shorter."""


@dataclass(frozen=True, slots=True)
class Payoff:
    """Two ways to go on, in pico-dollars over this request and the expected further turns."""

    told: int
    """Read all as it was, write the amendments."""
    rewritten: int
    """Write all behind the change as the client has it now."""

    @property
    def pays(self) -> bool:
        return self.told < self.rewritten


def payoff(sizes: Sizes, rates: Rates, further_turns: int = FURTHER_TURNS) -> Payoff:
    shorter = max(0, sizes.behind - sizes.earlier + sizes.grown)
    return Payoff(
        told=(1 + further_turns) * sizes.behind * rates.cache_read
        + sizes.amendments * (rates.cache_write_5m + further_turns * rates.cache_read),
        rewritten=shorter * (rates.cache_write_5m + further_turns * rates.cache_read),
    )
