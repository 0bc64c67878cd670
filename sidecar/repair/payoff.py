"""Whether keeping the prefix and telling the difference is cheaper than writing anew what stands behind a change."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.accounts.prices import Rates
from sidecar.economy.edits import Trade, edit
from sidecar.ledger.money import dollars


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
    follow: Trade
    """To send the client's text as it is now: earlier amendments go, all behind the change is written again."""
    tell: Trade
    """To leave out the amendments that would be said now."""

    @property
    def pays(self) -> bool:
        """Whether telling is cheaper than following."""
        return self.follow.cost > self.follow.saves + self.tell.saves

    def __str__(self) -> str:
        follow = f"to follow would cost {dollars(self.follow.cost)} to save {dollars(max(0, self.follow.saves))}"
        return f"{follow}, to tell costs {dollars(self.tell.saves)}"


def payoff(sizes: Sizes, rates: Rates, further: int) -> Payoff:
    """`further` requests of the conversation are expected."""
    removed = sizes.earlier - sizes.grown
    rewritten = max(0, sizes.behind - removed)
    return Payoff(
        follow=edit(rates, removed=removed, further=further, warm=True, behind=rewritten),
        tell=edit(rates, removed=sizes.amendments, further=further),
    )
