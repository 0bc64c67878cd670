"""Prefix repair: keeps what was sent where a client changed something old, and tells Claude the difference."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import orjson

from sidecar.accounts.prices import micro_usd
from sidecar.conversation import Line
from sidecar.exchange import Exchange
from sidecar.prompt import REPAIR, Prompt
from sidecar.repair.amendments import Place, amendment
from sidecar.repair.changes import Change, changed, is_volatile
from sidecar.repair.payoff import Payoff, Sizes, payoff
from sidecar.services import Services

FULLEST: Final = 0.9
"""Share of the model's window up to which a client that shortens its prompt is not held to the longer one."""
WORK: Final = 500_000
"""Bytes of changed blocks, as sent and as they are now, that one request may have compared; about 20 ms."""
ON_THE_LOOP: Final = 100_000
"""Bytes above which they are compared in a thread."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What is known of one changed block."""

    index: int
    place: Place
    change: Change | None
    """None where other things than text changed."""
    amendment: str | None
    """None where the change is too large to be told."""

    @property
    def is_volatile(self) -> bool:
        return self.change is not None and is_volatile(self.change)

    def __str__(self) -> str:
        if self.change is None:
            return f"{self.place} changed in more than its text"
        return self.change.said(str(self.place))


class PrefixRepair:
    """Comes first of the layers: what it mends is frozen for the others."""

    def __init__(self, services: Services) -> None:
        self._mode = services.settings.prefix_repair
        self._with_thinking = services.settings.reduce_with_thinking
        self._catalogue = services.catalogue
        self._prices = services.prices
        self._pace = services.pace

    async def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        if prompt is None or prompt.line is None or not prompt.repairable:
            return
        changed = [block.index for block in prompt.repairable]
        size = sum(len(prompt.positions[index].raw) + len(prompt.line.sent[index].raw) for index in changed)
        if size > WORK:
            exchange.decide(REPAIR, f"not repaired, too much text to compare: {size:,} bytes")
        elif size > ON_THE_LOOP:
            await asyncio.to_thread(self._repair, exchange, prompt, prompt.line)
        else:
            self._repair(exchange, prompt, prompt.line)

    def _repair(self, exchange: Exchange, prompt: Prompt, line: Line) -> None:
        repairs = _repairs(exchange, prompt)
        said = "; ".join(map(str, repairs))
        if (against := self._reason_against(exchange, prompt, repairs)) is not None:
            exchange.decide(REPAIR, f"not repaired, {against}: {said}")
            return
        sizes = _sizes(prompt, line, repairs)
        rates = self._prices.row(exchange.model, exchange.started).rates(sizes.behind)
        costs = payoff(sizes, rates, self._pace.further(exchange.client, line.turns + 1))
        if costs.pays and self._fits(exchange, prompt, line, sizes):
            prompt.mend([repair.amendment for repair in repairs if repair.amendment], as_system=True)
            exchange.decide(REPAIR, f"prefix kept, {costs}: {said}", **_numbers(sizes, costs))
        else:
            why = "it does not pay" if not costs.pays else "the longer prompt might not fit the model"
            exchange.decide(REPAIR, f"not repaired, {why}: {said}", **_numbers(sizes, costs))

    def _reason_against(self, exchange: Exchange, prompt: Prompt, repairs: list[Repair]) -> str | None:
        new = prompt.positions[prompt.known :]
        reasons = (
            (self._mode == "off", "PREFIX_REPAIR is off"),
            (exchange.holdout, "held out"),
            (prompt.thinks and not self._with_thinking, "the client returns signed thinking"),
            (prompt.cold, "the cache has expired anyway"),
            (any(repair.change is None for repair in repairs), "only texts are"),
            (
                self._mode != "all" and not all(repair.is_volatile for repair in repairs),
                "no change of the kind that comes by itself (PREFIX_REPAIR=all)",
            ),
            (not _is_the_same_conversation(prompt, repairs), "it might be another conversation"),
            (any(repair.amendment is None for repair in repairs), "too much changed"),
            (not any(at.role == "user" for at in new), "no turn of the user follows to tell it behind"),
        )
        return next((reason for holds, reason in reasons if holds), None)

    def _fits(self, exchange: Exchange, prompt: Prompt, line: Line, sizes: Sizes) -> bool:
        """Whether the client may be held to the longer prompt: it may shorten it because the window is full."""
        window = self._catalogue.card(exchange.model).max_input_tokens
        if window is None or sizes.grown - sizes.earlier >= 0:
            return True
        new = sum(len(at.raw) for at in prompt.positions[prompt.known :])
        return (line.sizes[prompt.known - 1] + new) / prompt.bytes_a_token + sizes.amendments <= FULLEST * window


def _repairs(exchange: Exchange, prompt: Prompt) -> list[Repair]:
    roles = [message["role"] for message in exchange.request["messages"]]
    turn = roles.count("assistant")
    repairs = []
    for block in prompt.repairable:
        at = prompt.positions[block.index]
        place = _place(prompt, block.index, roles)
        change = changed(block.frozen, block.now) if at.role != "system" else None
        repairs.append(Repair(block.index, place, change, amendment(change, place, turn) if change else None))
    return repairs


def _is_the_same_conversation(prompt: Prompt, repairs: list[Repair]) -> bool:
    """Whether it opens with the same words of the user's and something in it was said before just so."""
    opening = next((at.message for at in prompt.positions if at.role == "user"), None)
    changed = {repair.index for repair in repairs}
    said = (at for at in range(prompt.known) if prompt.positions[at].zone == "messages")
    opens_alike = all(repair.is_volatile for repair in repairs if prompt.positions[repair.index].message == opening)
    return opens_alike and any(at not in changed for at in said)


def _place(prompt: Prompt, index: int, roles: list[str]) -> Place:
    at = prompt.positions[index]
    first = index
    while first and prompt.positions[first - 1].zone == at.zone and prompt.positions[first - 1].message == at.message:
        first -= 1
    if at.zone == "system":
        return Place("system", 0, index - first)
    return Place("messages", sum(role != "system" for role in roles[: at.message]), index - first)


def _sizes(prompt: Prompt, line: Line, repairs: list[Repair]) -> Sizes:
    start = repairs[0].index
    scale = prompt.bytes_a_token
    edits = (line.sent[index].edit for index in line.edited if index < prompt.known)
    saved = [pair for edit in edits if edit is not None for pair in edit.saved]
    return Sizes(
        behind=round((line.sizes[prompt.known - 1] - (line.sizes[start - 1] if start else 0)) / scale),
        amendments=round(sum(len(orjson.dumps(repair.amendment)) for repair in repairs) / scale),
        earlier=round(-sum(size for layer, size in saved if layer == REPAIR) / scale),
        grown=round(sum(repair.change.characters for repair in repairs if repair.change is not None) / scale),
    )


def _numbers(sizes: Sizes, costs: Payoff) -> dict[str, int]:
    return {
        "tokens_behind": sizes.behind,
        "amendment_tokens": sizes.amendments,
        "rewrite_micro_usd": round(micro_usd(costs.follow.cost)),
        "told_micro_usd": round(micro_usd(costs.tell.saves)),
    }
