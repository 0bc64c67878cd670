"""Which model answers, and why: pure, and the same for the same request, standing and prices.

errand                   its lane's model, where that costs no more than the model that would answer otherwise
first of a conversation  its lane's model: complex or ordinary
in a conversation        the model it has; up on trouble; down again only where the economy says so
inside a tool loop       the model that thought in it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sidecar.accounts.account import MICRO_USD
from sidecar.economy.switching import Candidate, Switch, spending, switch
from sidecar.ledger.money import dollars
from sidecar.routing.rules import Lane, Signal, Table, Wish, points_of
from sidecar.routing.standing import Standing
from sidecar.routing.subject import Subject

ERRAND_OUTPUT, TURN_OUTPUT = 300, 1_000
"""Tokens of an answer, where its limit is not less: measured turns of coding agents have about 1,000."""

MONEY: Final = frozenset({"errand", "cheaper"})
"""Reasons that are reasons only where the model costs no more than staying."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known beside the request itself."""

    wish: Wish
    lanes: Mapping[Lane, Sequence[str]]
    """The models of each lane that may be used and can take the request, by preference. One model at least in each."""
    candidates: Mapping[str, Candidate]
    """By model: all of the lanes, and the one that answered last."""
    standing: Standing | None = None
    last: str | None = None
    """The model that answered the conversation's last request, chosen by whomever; None where it may not be used."""
    prompt: int = 0
    growth: int = 2_000
    """Tokens: of the prompt, and by which each request makes it longer."""
    further: int = 0
    """Requests expected after this one."""


@dataclass(frozen=True, slots=True)
class Route:
    """One decision, with all that it was made by."""

    model: str
    reason: str
    """A word or two: what the ledger has."""
    lane: Lane
    why: str
    """One clause for a reader."""
    signals: tuple[Signal, ...] = ()
    costs: tuple[tuple[str, int], ...] = ()
    """What this request would cost on each candidate, in pico-dollars, the cheapest first; none is known without
    prices."""
    stay: str | None = None
    """The model that would have answered otherwise."""
    trade: Switch | None = None
    """The economy's comparison, where money had a say."""
    keep: Standing | None = field(default=None, repr=False)
    """What the conversation is to remember; None for an errand, which changes nothing."""

    def __str__(self) -> str:
        return f"{self.model}: {self.reason}, {self.why}" if self.why else f"{self.model}: {self.reason}"

    def header(self) -> str:
        """`X-Gateway-Route`: on one line."""
        parts = [self.model, f"reason={self.reason}"]
        if self.why:
            parts.append(self.why)
        if self.signals:
            parts.append("signals=" + ", ".join(f"{one.rule} {one.points:+d}" for one in self.signals))
        if self.costs:
            parts.append("costs=" + ", ".join(f"{model} {dollars(cost)}" for model, cost in self.costs))
        return "; ".join(parts)

    def numbers(self) -> dict[str, int | str]:
        """For the list of decisions: micro-dollars."""
        told: dict[str, int | str] = {"lane": self.lane}
        told |= {
            f"points_{score}": points_of(score, self.signals) for score in dict.fromkeys(s.score for s in self.signals)
        }
        told |= {f"{model}_micro_usd": cost // MICRO_USD for model, cost in self.costs}
        if self.trade is not None:
            told["stay_micro_usd"] = self.trade.stay_cost // MICRO_USD
            told["move_micro_usd"] = self.trade.move_cost // MICRO_USD
            told["requests"] = self.trade.requests
        return told


def decide(subject: Subject, situation: Situation, table: Table) -> Route:
    standing, wish = situation.standing, situation.wish
    begun = standing is not None and standing.wish == wish and standing.model in situation.candidates
    signals = tuple(table.signals(subject, task=not begun))
    found = _chosen(subject, situation, table, signals, standing if begun else None)
    return replace(found, signals=signals, costs=_costs(situation, subject, found.lane))


def _chosen(
    subject: Subject, at: Situation, table: Table, signals: Sequence[Signal], standing: Standing | None
) -> Route:
    current = standing.model if standing is not None else at.last
    if (loop := _loop(at, subject)) is not None:
        return loop
    if table.reaches("errand", signals):
        return _errand(at, subject, current or at.lanes["ordinary"][0], _by(signals, "errand"))
    if standing is None:
        return _first(at, subject, table, signals)
    if table.reaches("trouble", signals) and standing.lane != "complex":
        up = at.lanes["complex"][0]
        kept = replace(standing, model=up, lane="complex")
        if up != standing.model:
            trade = _trade(at, subject, standing.model, up)
            return Route(up, "trouble", "complex", _by(signals, "trouble"), stay=standing.model, trade=trade, keep=kept)
        return Route(up, "sticky", "complex", "trouble, and there is no stronger model", keep=kept)
    if standing.lane != standing.base and not table.reaches("trouble", signals):
        return _down(at, subject, standing)
    return Route(standing.model, "sticky", standing.lane, "the conversation keeps its model", keep=standing)


def _loop(at: Situation, subject: Subject) -> Route | None:
    """Inside a tool loop with thinking: the model that signed it, also where that was a fallback, or one that the
    client named for once. What the conversation keeps stays as it is."""
    kept = at.standing if at.standing is not None and at.standing.model in at.candidates else None
    if not subject.results or not (subject.thinks or (at.standing is not None and at.standing.thought)):
        return None
    model = at.last or (kept.model if kept is not None else None)
    if model is None:
        return None
    lane: Lane = kept.lane if kept is not None else "ordinary"
    return Route(model, "tool loop", lane, "its thinking is signed by this model", stay=model, keep=kept)


def _errand(at: Situation, subject: Subject, otherwise: str, why: str) -> Route:
    model = at.lanes["errand"][0]
    if model == otherwise:
        return Route(model, "errand", "errand", why, stay=otherwise)
    trade = switch(
        at.candidates[otherwise],
        at.candidates[model],
        prompt=at.prompt,
        growth=0,
        output=_output(subject, "errand"),
        further=0,
    )
    if trade.move_cost <= trade.stay_cost:
        return Route(model, "errand", "errand", why, stay=otherwise, trade=trade)
    why = f"an errand ({why}), but its prompt is warm here: {trade}"
    return Route(otherwise, "warm", "errand", why, stay=otherwise, trade=trade)


def _first(at: Situation, subject: Subject, table: Table, signals: Sequence[Signal]) -> Route:
    lane: Lane = "complex" if table.reaches("complex", signals) else "ordinary"
    base = lane
    if at.standing is not None:  # decided before, under another wish or for a model that is gone
        lane, base = at.standing.lane, at.standing.base
    why = _by(signals, "complex") if lane == "complex" else ""
    model = at.lanes[lane][0]
    keep = Standing(model, lane, base, at.wish, 1, "")
    if at.last is not None and at.last != model and at.standing is None:
        trade = _trade(at, subject, at.last, model)
        dearer = at.candidates[at.last].row.base.input > at.candidates[model].row.base.input
        if dearer and not trade.pays:
            return Route(
                at.last, "sticky", lane, str(trade), stay=at.last, trade=trade, keep=replace(keep, model=at.last)
            )
        return Route(model, lane, lane, why or str(trade), stay=at.last, trade=trade, keep=keep)
    return Route(model, lane, lane, why, stay=at.last, keep=keep)


def _down(at: Situation, subject: Subject, standing: Standing) -> Route:
    model = at.lanes[standing.base][0]
    back = replace(standing, model=model, lane=standing.base)
    if model == standing.model:
        return Route(model, "sticky", standing.base, "the conversation keeps its model", keep=back)
    trade = _trade(at, subject, standing.model, model)
    if trade.pays:
        return Route(
            model,
            "cheaper",
            standing.base,
            f"the trouble is over; {trade}",
            stay=standing.model,
            trade=trade,
            keep=back,
        )
    return Route(standing.model, "sticky", standing.lane, str(trade), stay=standing.model, trade=trade, keep=standing)


def _trade(at: Situation, subject: Subject, stay: str, move: str) -> Switch:
    return switch(
        at.candidates[stay],
        at.candidates[move],
        prompt=at.prompt,
        growth=at.growth,
        output=_output(subject, "ordinary"),
        further=at.further,
    )


def _costs(at: Situation, subject: Subject, lane: Lane) -> tuple[tuple[str, int], ...]:
    shown = dict.fromkeys([*(models[0] for models in at.lanes.values()), *([at.last] if at.last else [])])
    told = [
        (model, spending(at.candidates[model], prompt=at.prompt, growth=0, output=_output(subject, lane), further=0)[0])
        for model in shown
    ]
    return tuple(sorted(told, key=lambda one: one[1]))


def _output(subject: Subject, lane: Lane) -> int:
    usual = ERRAND_OUTPUT if lane == "errand" else TURN_OUTPUT
    return usual if subject.max_tokens is None else min(usual, subject.max_tokens)


def _by(signals: Sequence[Signal], score: str) -> str:
    found = sorted((one for one in signals if one.score == score and one.points > 0), key=lambda one: -one.points)
    return ", ".join(one.rule for one in found[:4])
