"""Chooses the model where the choice is ours: errands to the cheapest, complex tasks to the strongest.

A conversation keeps its model; a change is weighed with what is warm in the prompt cache. The rules are in
`sidecar.routing`; here they are given what they ask for, and what they decide is carried out.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import Final

from sidecar.assembly import own_copy
from sidecar.call import Call
from sidecar.conversations import session_of
from sidecar.exchange import Exchange
from sidecar.headers import printable
from sidecar.own_router import Question, load_router
from sidecar.prompt import Prompt
from sidecar.route_memory import NAMESPACE, SIZE_LIMIT_BYTES, RouteMemory
from sidecar.routing.choices import Choices
from sidecar.routing.decide import Route, decide
from sidecar.routing.rules import table_of
from sidecar.routing.standing import Standing, key_of
from sidecar.routing.subject import Subject, opening_of, subject_of
from sidecar.routing.wishes import acts_on
from sidecar.services import Services

log = logging.getLogger(__name__)

LAYER: Final = "smart_routing"
LONGEST_NAME: Final = 80
"""Characters of what a router answers that are told."""


class SmartRouting:
    def __init__(self, services: Services) -> None:
        """Raises UserFileError for a router of the user's that cannot be used."""
        self._settings = services.settings
        self._prices = services.prices
        self._fallbacks = services.fallbacks
        self._table = table_of(services.settings.routing)
        self._choices = Choices(self._table, services.catalogue, services.prices, services.pace.further)
        self._memory = RouteMemory(services.shelves(NAMESPACE, SIZE_LIMIT_BYTES))
        self._router = load_router(services.settings.router) if services.settings.router else None
        self._prices_read = False

    async def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        if prompt is not None and not exchange.holdout and acts_on(exchange, self._settings):
            await self._route(exchange, prompt)
        self._fallbacks.apply(exchange)

    async def _route(self, exchange: Exchange, prompt: Prompt) -> None:
        if not self._prices_read:
            await asyncio.to_thread(self._prices.load)
            self._prices_read = True
        subject = subject_of(exchange.request, prompt, exchange.client)
        key = key_of(exchange.project, session_of(exchange.client_headers), opening_of(prompt))
        standing = await self._memory.find(key, prompt.chain, first=subject.first)
        situation = self._choices.situation(exchange, prompt, standing)
        route = decide(subject, situation, self._table)
        if self._router is not None and route.reason != "tool loop":
            route = await self._own(exchange, prompt, subject, route)
        self._take(exchange, prompt, route)
        if route.keep is not None:
            self._keep(exchange, prompt, key, replace(route.keep, first=subject.first))

    # --- what they decided

    async def _own(self, exchange: Exchange, prompt: Prompt, subject: Subject, route: Route) -> Route:
        assert self._router is not None
        question = Question(
            request=own_copy(exchange.request),
            words=subject.words,
            client=exchange.client,
            project=exchange.project,
            conversation=exchange.conversation,
            asked=exchange.model_asked,
            proposal=route,
        )
        name = await self._router.ask(question)
        if name is None:
            return route
        card = self._choices.card(name)
        if card is None or not self._choices.taking(exchange, prompt)(card):
            why = "nobody knows it" if card is None else "it may not be used here, or cannot take the request"
            told = printable(name[:LONGEST_NAME])
            log.warning("your router chose %s: %s, so %s answers", told, why, route.model)
            exchange.decide(LAYER, f"your router chose {told}: {why}")
            return route
        kept = None if route.keep is None else replace(route.keep, model=card.id)
        return replace(
            route, model=card.id, reason="own router", why=f"the rules said {route.model}: {route.reason}", keep=kept
        )

    def _take(self, exchange: Exchange, prompt: Prompt, route: Route) -> None:
        exchange.route = route
        exchange.route_reason = route.reason
        exchange.decide(LAYER, str(route), **route.numbers())
        if route.model != exchange.model:
            exchange.model = route.model
        if route.keep is None and route.model != route.stay:
            prompt.expected = None  # what is warm for the conversation is not lost by an errand beside it

    def _keep(self, exchange: Exchange, prompt: Prompt, key: str, keep: Standing) -> None:
        standing = replace(keep, until=len(prompt.positions), link=prompt.chain[-1].hex(), thought=False)
        self._memory.keep(exchange.project, key, standing)
        call = exchange.call = exchange.call or Call(exchange)
        call.when_ended(partial(self._answered, call, key, standing))

    def _answered(self, call: Call, key: str, standing: Standing) -> None:
        if call.leader.usage.thinking_tokens:
            self._memory.thought(call.leader.project, key, standing)
