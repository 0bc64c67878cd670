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


def spending(candidate: Candidate, *, prompt: int, growth: int, output: int, further: int) -> list[int]:
    """What a model costs after each of this and `further` requests, all in all: for a prompt of `prompt` tokens that
    grows by `growth` a request, each answered with `output` tokens. What is not warm is written for five minutes; later
    requests read all that was there before them. Pico-dollars."""
    costs: list[int] = []
    for number in range(1 + further):
        whole = prompt + number * growth
        warm = min(candidate.warm, whole) if number == 0 else whole - growth
        rates = candidate.row.rates(whole)
        cost = warm * rates.cache_read + (whole - warm) * rates.cache_write_5m + output * rates.output
        costs.append(cost + (costs[-1] if costs else 0))
    return costs


def switch(stay: Candidate, move: Candidate, *, prompt: int, growth: int, output: int, further: int) -> Switch:
    """Compare the two, as `spending` has it."""
    staying = spending(stay, prompt=prompt, growth=growth, output=output, further=further)
    moving = spending(move, prompt=prompt, growth=growth, output=output, further=further)
    break_even = None
    for number, (moved, stayed) in enumerate(zip(moving, staying, strict=True), 1):
        break_even = (break_even or number) if moved < stayed else None
    return Switch(stay, move, 1 + further, staying[-1], moving[-1], break_even)
