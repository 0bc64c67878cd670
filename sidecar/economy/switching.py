"""What it costs to change the model in mid-conversation: the prompt cache belongs to one model."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.accounts.prices import PriceRow
from sidecar.ledger.money import dollars


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could answer."""

    model: str
    row: PriceRow
    warm: int = 0
    """Tokens of this prompt that are in its cache now."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Staying against moving, in pico-dollars, over this request and the expected further ones."""

    stay: Candidate
    move: Candidate
    requests: int
    stay_cost: int
    move_cost: int
    break_even: int | None
    """After how many requests moving has paid off; None where it does not within `requests`."""

    @property
    def pays(self) -> bool:
        return self.move_cost < self.stay_cost

    def __str__(self) -> str:
        costs = f"{dollars(self.move_cost)} on {self.move.model}, {dollars(self.stay_cost)} on {self.stay.model}"
        over = f"{self.requests} request{'s' if self.requests != 1 else ''}"
        if not self.pays:
            return f"stayed: {over} would cost {costs}"
        return f"moved: {over} cost {costs}, paid off after {self.break_even}"


def switch(stay: Candidate, move: Candidate, *, prompt: int, growth: int, output: int, further: int) -> Switch:
    """Compare the two for a prompt of `prompt` tokens that grows by `growth` a request, each answered with `output`
    tokens. What is not warm is written for five minutes; later requests read all that was there before them."""
    costs = {candidate.model: 0 for candidate in (stay, move)}
    break_even = None
    for number in range(1 + further):
        for candidate in (stay, move):
            whole = prompt + number * growth
            warm = min(candidate.warm, whole) if number == 0 else whole - growth
            rates = candidate.row.rates(whole)
            costs[candidate.model] += (
                warm * rates.cache_read + (whole - warm) * rates.cache_write_5m + output * rates.output
            )
        ahead = costs[move.model] < costs[stay.model]
        break_even = (break_even or number + 1) if ahead else None
    return Switch(stay, move, 1 + further, costs[stay.model], costs[move.model], break_even)
