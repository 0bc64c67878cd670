"""Does it pay to leave something out of the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from sidecar.accounts.prices import Rates
from sidecar.ledger.money import dollars


@dataclass(frozen=True, slots=True)
class Trade:
    """What an edit costs at once and saves with this request and the expected further ones, in pico-dollars."""

    removed: int
    """Tokens that leave the prompt; negative where it grows."""
    rewritten: int
    """Warm tokens behind the edit that must be written to the cache again."""
    further: int
    """Requests expected after this one."""
    cost: int
    saves: int

    @property
    def pays(self) -> bool:
        return self.saves > self.cost

    @property
    def net(self) -> int:
        return self.saves - self.cost

    def __str__(self) -> str:
        if self.pays:
            return f"done: saves {dollars(self.saves)} and costs {dollars(self.cost)}"
        return f"kept: would cost {dollars(self.cost)} to save {dollars(max(0, self.saves))}"


def edit(rates: Rates, *, removed: int, further: int, warm: bool = False, behind: int = 0) -> Trade:
    """Leaving `removed` tokens out.

    New text, and all text once the cache is cold, would be written now and read by each further request: w + k r a
    token. Warm text is read by this request too, and leaving it out means to write the `behind` tokens behind it again:
    (w - r) a token.
    """
    if warm:
        cost = behind * (rates.cache_write_5m - rates.cache_read)
        return Trade(removed, behind, further, cost, removed * rates.cache_read * (1 + further))
    saves = removed * (rates.cache_write_5m + rates.cache_read * further)
    return Trade(removed, 0, further, 0, saves)


@dataclass(frozen=True, slots=True)
class StepCut:
    """One large cut of old history: how many tokens to take out, and what that costs and saves."""

    cut: int
    """Tokens."""
    fits: bool
    """Whether what is left is short enough."""
    trade: Trade

    @property
    def pays(self) -> bool:
        return self.trade.pays

    def __str__(self) -> str:
        return f"cut of {self.cut:,} tokens {self.trade}"


def step_cut(
    rates: Rates,
    *,
    prompt: int,
    cuttable: int,
    growth: int,
    further: int,
    warm: bool,
    limit: int | None = None,
) -> StepCut:
    """How much to cut at once from a prompt that grows by `growth` tokens a request.

    Cutting from H to L every (H - L)/growth requests costs least at H - L = sqrt(2 (w - r) L growth / r): smaller
    steps write the rest again too often, larger ones give up more than they must. `cuttable` is the most that may go,
    `limit` what must at least be reached.
    """
    dearer = (rates.cache_write_5m - rates.cache_read) * max(0, growth) // max(1, rates.cache_read)
    # x**2 = 2 * dearer * (prompt - x), solved for the step x
    best = isqrt(dearer * dearer + 2 * dearer * prompt) - dearer
    needed = max(0, prompt - limit) if limit is not None else 0
    cut = min(cuttable, max(best, needed))
    behind = prompt - cut if warm else 0
    return StepCut(cut, cut >= needed, edit(rates, removed=cut, further=further, warm=warm, behind=behind))
