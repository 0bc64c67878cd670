"""Baseline, bill and what each layer saved: the arithmetic behind every figure on the dashboard.

The *baseline* is what the client's own bytes would have cost sent plainly to the model it asked for. Between it and the
*bill* stands a chain of costs, one after each layer has acted; a layer's saving is the difference of two neighbours, so
the savings sum to baseline minus bill exactly, whatever the estimates in between are worth.

The chain is read backwards from the usage that Claude returned, which is exact. Undoing the prompt cache only moves
tokens between counters; undoing a reduction adds its tokens back to the counter they would have been billed under, so a
token cut from a warm prefix counts 0.05 of its price and not all of it. The cache comes first in the chain for that
reason: what comes after is measured in a world that caches.

All money is whole pico-dollars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sidecar.accounts.prices import Cost
from sidecar.exchange import Usage

PROMPT_CACHE, ROUTING = "prompt_cache", "smart_routing"
"""The layers whose saving is told from usage and models; all others bring their reductions."""

Pricing = Callable[[str, Usage], Cost]
"""Prices a usage under a model id, at the request's time and terms."""

Counter = Literal["input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"]

MICRO_USD = 10**6
"""Pico-dollars in a micro-dollar."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """Tokens of the client's that a layer kept from this request, also those it cut in earlier turns."""

    layer: str
    tokens: int
    """Estimated, calibrated. Negative where the layer adds text: an instruction, an amendment."""
    paid_as: Counter
    """How these tokens would have been billed: read with the warm prefix, written with the new end, or plain."""


@dataclass(frozen=True, slots=True)
class Account:
    """What one request would have cost, what it did cost, and who made the difference."""

    baseline: int
    bill: int
    savings: tuple[tuple[str, int], ...] = ()
    """(layer, saved) in the order the layers acted; negative where a layer cost more than it saved."""
    estimated: bool = False
    """True where the bill is not what returned usage and a published price say: a cut stream, an unknown model."""

    def __post_init__(self) -> None:
        if sum(saved for _, saved in self.savings) != self.saved:
            raise ValueError("the layers' savings do not sum to baseline minus bill")

    @property
    def saved(self) -> int:
        return self.baseline - self.bill

    def in_micro_usd(self) -> Account:
        """The same in whole micro-dollars, still summing exactly.

        The costs along the chain are rounded (half up) and the savings are the differences of rounded costs: no residue
        is left to give to anyone, and no saving is off by more than one.
        """
        cost = self.baseline
        steps = []
        for layer, saved in self.savings:
            cost -= saved
            steps.append((layer, _rounded(cost)))
        return settled(_rounded(self.baseline), steps, estimated=self.estimated)


UNBILLED = Account(0, 0)
"""A request that ended in an error: nothing was billed and nothing would have been."""


def settled(baseline: int, steps: Iterable[tuple[str, int]], *, estimated: bool = False) -> Account:
    """The account of a chain of costs: (layer, cost after it), the last the bill. Layers without effect drop out."""
    savings: dict[str, int] = {}
    cost = baseline
    for layer, after in steps:
        savings[layer] = savings.get(layer, 0) + cost - after
        cost = after
    acted = tuple((layer, saved) for layer, saved in savings.items() if saved)
    return Account(baseline, cost, acted, estimated)


def uncached(usage: Usage) -> Usage:
    """The same tokens from a client that marks nothing for caching."""
    return replace(
        usage,
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=0,
        cache_write_5m_tokens=0,
        cache_write_1h_tokens=0,
    )


def as_marked(usage: Usage) -> Usage:
    """The same tokens from a client whose own markers already cache as well as ours."""
    return usage


def answered(
    price: Pricing,
    usage: Usage,
    *,
    model: str,
    model_asked: str,
    reductions: Sequence[Reduction] = (),
    plain: Callable[[Usage], Usage] = uncached,
    estimated: bool = False,
) -> Account:
    """The account of a request that Claude answered.

    `usage` is what came back from `model`; `model_asked` is the Claude id that would have answered without routing;
    `reductions` come in the order their layers acted. `plain` says how the client's own bytes would have been cached.
    What another model, or Claude to the unreduced prompt, would have answered is not guessed: the output counts as it
    came.
    """
    if not reductions and model == model_asked and plain(usage) is usage:  # most requests: no layer made a difference
        cost = price(model, usage)
        return Account(cost.total, cost.total, (), estimated or cost.estimated)
    stages = [usage]
    for reduction in reversed(reductions):
        stages.append(_restored(stages[-1], reduction))
    stages.reverse()
    costs = [price(model_asked, stage) for stage in stages]
    alone = plain(stages[0])
    baseline = costs[0] if alone is stages[0] else price(model_asked, alone)
    bill = costs[-1] if model == model_asked else price(model, usage)
    steps = [(PROMPT_CACHE, costs[0].total)]
    steps += [(reduction.layer, cost.total) for reduction, cost in zip(reductions, costs[1:], strict=True)]
    steps.append((ROUTING, bill.total))
    return settled(baseline.total, steps, estimated=estimated or bill.estimated)


def spared(layer: str, cost: Cost) -> Account:
    """A request that did not go upstream, since `layer` had the answer: all of what it would have cost plainly."""
    return settled(cost.total, [(layer, 0)], estimated=cost.estimated)


def spent(layer: str, cost: Cost) -> Account:
    """A request that no client made: the gateway's own spending (keeping a cache warm), on the layer's account."""
    return settled(0, [(layer, cost.total)], estimated=cost.estimated)


def charged(account: Account, layer: str, cost: int, *, estimated: bool = False) -> Account:
    """The account with a cost besides, which `layer` caused and plain sending would not have."""
    savings = dict(account.savings)
    savings[layer] = savings.get(layer, 0) - cost
    acted = tuple((name, saved) for name, saved in savings.items() if saved)
    return Account(account.baseline, account.bill + cost, acted, account.estimated or estimated)


def cut_short(usage: Usage, *, prompt_tokens: int, output_tokens: int) -> Usage:
    """What an answer that broke off, or that its client left, must have been billed for; to be marked estimated.

    `usage` is what had been reported by then, `prompt_tokens` the estimate for the whole prompt, `output_tokens` that
    for the text that had arrived. Reported counters are kept; output is at least what arrived, as it is billed until
    the moment it stops.
    """
    known = usage if usage.prompt_tokens else replace(usage, input_tokens=prompt_tokens)
    return replace(known, output_tokens=max(usage.output_tokens, output_tokens))


def _restored(usage: Usage, reduction: Reduction) -> Usage:
    return replace(usage, **{reduction.paid_as: max(0, getattr(usage, reduction.paid_as) + reduction.tokens)})


def _rounded(picodollars: int) -> int:
    return (picodollars + MICRO_USD // 2) // MICRO_USD
