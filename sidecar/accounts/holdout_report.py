"""What the layers are worth, measured: cost per request of the conversations that had them against those that did not.

A conversation is the unit: its requests are alike, and which arm it is in was drawn for all of them at once. Each arm's
mean is a ratio (all its money by all its requests), whose error comes from how far its conversations lie from it
(linearisation; Cochran, Sampling Techniques, 6.4); the two errors meet as in Welch's test. Money is whole pico-dollars;
only the statistics are floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

import orjson

from sidecar.ledger.arms import Arms, Conversation
from sidecar.ledger.money import usd_text

ENOUGH: Final = 20
"""Conversations in each arm below which no interval is told: costs of conversations differ by orders of magnitude."""
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's sums, in pico-dollars."""

    conversations: int
    requests: int
    cost_picos: int
    baseline_picos: int

    @property
    def cost_a_request(self) -> int:
        """Pico-dollars; 0 of nothing."""
        return round(Decimal(self.cost_picos) / self.requests) if self.requests else 0

    @property
    def counted_saving_a_request(self) -> int:
        """What the accounts say was saved, against the client's own bytes sent plainly."""
        return round(Decimal(self.baseline_picos - self.cost_picos) / self.requests) if self.requests else 0


class Interval(NamedTuple):
    """Where the truth lies with 95 % confidence."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HoldoutReport:
    layers: Arm
    holdout: Arm
    arms: Arms
    interval_picos: Interval | None
    """Of `saved_a_request`; None with too few conversations."""
    interval_percent: Interval | None
    """Of `saved_percent`; None also where one arm cost nothing."""

    @property
    def enough(self) -> bool:
        return min(self.layers.conversations, self.holdout.conversations) >= ENOUGH

    @property
    def saved_a_request(self) -> int:
        """Pico-dollars; negative where the layers cost more than they save."""
        return self.holdout.cost_a_request - self.layers.cost_a_request

    @property
    def saved_percent(self) -> Decimal | None:
        """Of what a request costs without layers, to a tenth; None where that is nothing, or an arm is empty."""
        if not self.holdout.cost_a_request or not self.layers.conversations:
            return None
        return (Decimal(100) * self.saved_a_request / self.holdout.cost_a_request).quantize(Decimal("0.1"))

    def as_json(self) -> bytes:
        """One object. Amounts are exact decimal numbers in US dollars, intervals rounded to pico-dollars."""
        return orjson.dumps(
            {
                "since": self.arms.since,
                "until": self.arms.until,
                "layers": _arm(self.layers),
                "holdout": _arm(self.holdout),
                "conversations_in_both": self.arms.in_both,
                "conversations_needed": ENOUGH,
                "enough": self.enough,
                "saved_per_request_usd": _usd(self.saved_a_request),
                "saved_per_request_interval_usd": self.interval_picos
                and [_usd(round(end)) for end in self.interval_picos],
                "saved_percent": None if self.saved_percent is None else float(self.saved_percent),
                "saved_percent_interval": self.interval_percent and [round(end, 1) for end in self.interval_percent],
                "counted_saving_per_request_usd": _usd(self.layers.counted_saving_a_request),
            },
            option=orjson.OPT_UTC_Z,
        )


def measured(found: Arms) -> HoldoutReport:
    layers, holdout = _sums(found.layers), _sums(found.holdout)
    report = HoldoutReport(layers, holdout, found, None, None)
    if not report.enough:
        return report
    ours, theirs = _Mean(found.layers), _Mean(found.holdout)
    return HoldoutReport(layers, holdout, found, _difference(ours, theirs), _relative(ours, theirs))


class _Mean:
    """An arm's cost per request with its variance, in pico-dollars."""

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        requests = sum(one.requests for one in conversations)
        self.mean: Final = sum(one.cost_picos for one in conversations) / requests
        squares = sum((one.cost_picos - self.mean * one.requests) ** 2 for one in conversations)
        self.freedom: Final = len(conversations) - 1
        self.variance: Final = squares * len(conversations) / self.freedom / requests**2


def _difference(ours: _Mean, theirs: _Mean) -> Interval:
    margin = _margin((ours.variance, ours.freedom), (theirs.variance, theirs.freedom))
    difference = theirs.mean - ours.mean
    return Interval(difference - margin, difference + margin)


def _relative(ours: _Mean, theirs: _Mean) -> Interval | None:
    """In percent, by the logarithm of the quotient, so that no end lies beyond 100 %."""
    if not (ours.mean and theirs.mean):
        return None
    margin = _margin((ours.variance / ours.mean**2, ours.freedom), (theirs.variance / theirs.mean**2, theirs.freedom))
    quotient = log(ours.mean / theirs.mean)
    return Interval(100 * (1 - exp(quotient + margin)), 100 * (1 - exp(quotient - margin)))


def _margin(*arms: tuple[float, int]) -> float:
    """Half of the interval around a difference: (variance, degrees of freedom) of each side (Welch-Satterthwaite)."""
    variance = sum(variance for variance, _ in arms)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(variance**2 / freedom for variance, freedom in arms)
    return sqrt(variance) * student(freedom)


def student(freedom: float) -> float:
    """The two-sided 95 % quantile of Student's t, by its expansion around the normal one (Abramowitz and Stegun,
    26.7.5): right to a thousandth from ten degrees of freedom on.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _sums(conversations: Sequence[Conversation]) -> Arm:
    return Arm(
        len(conversations),
        sum(one.requests for one in conversations),
        sum(one.cost_picos for one in conversations),
        sum(one.baseline_picos for one in conversations),
    )


def _arm(arm: Arm) -> dict[str, object]:
    return {
        "conversations": arm.conversations,
        "requests": arm.requests,
        "cost_usd": _usd(arm.cost_picos),
        "cost_per_request_usd": _usd(arm.cost_a_request),
    }


def _usd(picos: int) -> orjson.Fragment:
    return orjson.Fragment(usd_text(picos))
