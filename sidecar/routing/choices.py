"""Which models may answer a request, what each has of it in its cache, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sidecar.accounts.prices import Prices
from sidecar.economy.switching import Candidate
from sidecar.economy.warmth import readable
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.models.catalogue import Catalogue, ModelCard
from sidecar.projects.policy import matches
from sidecar.prompt import Prompt
from sidecar.routing.decide import Situation
from sidecar.routing.rules import LANES, Table, Wish
from sidecar.routing.standing import Standing

GROWTH: Final = 2_000
"""Tokens that a request adds, where the conversation has not shown it."""
GROWTH_SEEN_IN: Final = 8
"""Requests."""


class Choices:
    def __init__(self, table: Table, catalogue: Catalogue, prices: Prices, further: Callable[[str, int], int]) -> None:
        """`further` says how many requests are expected after the given one of a client's conversation."""
        self._table = table
        self._catalogue = catalogue
        self._prices = prices
        self._further = further

    def situation(self, exchange: Exchange, prompt: Prompt, standing: Standing | None) -> Situation:
        wish: Wish = exchange.wish or "auto"
        takes = self.taking(exchange, prompt)
        lanes = {lane: self._usable(self._table.lanes[wish][lane], takes, exchange.model) for lane in LANES}
        models = {model for lane in lanes.values() for model in lane}

        last = _last_model(prompt)
        for before in (last, None if standing is None else standing.model):
            if before is not None and self._catalogue.offers(before) and takes(self._catalogue.card(before)):
                models.add(before)
        candidates = {model: self._candidate(exchange, prompt, model) for model in models}
        line = prompt.line if prompt.goes_on else None
        return Situation(
            wish=wish,
            lanes=lanes,
            candidates=candidates,
            standing=standing,
            last=last if last in candidates else None,
            prompt=prompt.tokens_until(len(prompt.positions)),
            growth=_growth(prompt),
            further=self._further(exchange.client, line.turns + 1 if line is not None else 1),
        )

    def taking(self, exchange: Exchange, prompt: Prompt) -> Callable[[ModelCard], bool]:
        """Says of a model whether it may answer this request, and can: its window is large enough, and it sees."""
        pictures = any(at.kind == "image" for at in prompt.positions)
        tokens = prompt.tokens_until(len(prompt.positions))

        def takes(card: ModelCard) -> bool:
            room = card.max_input_tokens is None or tokens <= card.max_input_tokens
            return room and (card.image_input or not pictures) and self._may(exchange, card)

        return takes

    def _usable(self, names: Sequence[str], takes: Callable[[ModelCard], bool], otherwise: str) -> list[str]:
        """The models of a lane, by Claude id; where none of them may be used, whatever else may."""
        named = [card for name in names if (card := self.card(name)) is not None]
        found = [card.id for card in named if takes(card)]
        if not found:
            listed = (self._catalogue.card(card.id) for card in self._catalogue.listed())
            found = [card.id for card in listed if takes(card)][:1] or [otherwise]
        return list(dict.fromkeys(found))

    def card(self, name: str) -> ModelCard | None:
        try:
            return self._catalogue.resolve(name).card
        except GatewayError:
            return None

    def _may(self, exchange: Exchange, card: ModelCard) -> bool:
        """Whether the project may use it, and routing choose it."""
        allow, deny = self._table.allow, self._table.deny
        listed = (not allow or matches(allow, card.id, card.line)) and not matches(deny, card.id, card.line)
        return listed and card.lifecycle != "retired" and exchange.policy.allows(card.id, card.line)

    def _candidate(self, exchange: Exchange, prompt: Prompt, model: str) -> Candidate:
        warm = readable(prompt.line, prompt.frozen, model=model, now=exchange.now) if prompt.line is not None else []
        row = self._prices.row(model, exchange.started)
        return Candidate(model, row, warm[-1].tokens if warm else 0)


def _last_model(prompt: Prompt) -> str | None:
    """Who answered the conversation's newest request that this one goes on from."""
    if prompt.line is None or not prompt.goes_on:
        return None
    return next((one.model for one in reversed(prompt.line.requests) if one.until <= prompt.frozen), None)


def _growth(prompt: Prompt) -> int:
    """Tokens that a request of this conversation adds."""
    requests = prompt.line.requests[-GROWTH_SEEN_IN:] if prompt.line is not None and prompt.goes_on else []
    if len(requests) < 2:
        return GROWTH
    return max(0, requests[-1].tokens - requests[0].tokens) // (len(requests) - 1) or GROWTH
