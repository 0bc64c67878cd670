"""Conversations through the cache layer, billed as Anthropic documents it, in a time of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from addons.prompt_cache import PromptCache
from sidecar.exchange import Exchange, Json, Usage
from sidecar.simulator.cache_rules import check_marks
from sidecar.simulator.caching import PromptCache as Billing
from sidecar.simulator.models import find
from sidecar.simulator.prompt import render
from tests.support.exchanges import an_exchange
from tests.support.talks import Talk


class OwnAccount:
    """What the gateway asks by itself: billed at its moment, and kept to be looked at."""

    def __init__(self, claude: Claude) -> None:
        self._claude = claude
        self.asked: list[tuple[float, Json]] = []

    async def ask(self, behind: Exchange, request: Json, layer: str, *, at: float | None = None) -> Usage | None:
        assert layer == "keep_warm"
        moment = self._claude.now if at is None else at
        self.asked.append((moment, request))
        return self._claude.billed(request, behind.model, moment)


class Claude:
    """Conversations through the layer, billed as documented."""

    def __init__(self, home: Path, *, billing: Billing | None = None, **chosen: Any) -> None:
        self._talk = Talk(home, **chosen)
        self.own = OwnAccount(self)
        self._layer = PromptCache(replace(self._talk.services, own_requests=self.own))
        self.billing = Billing() if billing is None else billing
        self.now = 1_800_000_000.0
        self.exchange: Exchange = an_exchange()
        self.sent: Json = {}
        self.usage = Usage()

    async def ask(
        self, request: Json, *, after: float = 20.0, conversation: str = "c", **fields: Any
    ) -> dict[str, str]:
        """One request, some seconds after the one before; the markers that went upstream, by their place."""
        self.now += after
        request = orjson.loads(orjson.dumps(request))
        usual = {"client": "cline", "conversation": conversation, "now": self.now, "project": "web"}
        self.exchange = exchange = an_exchange(request=request, **usual | fields)
        await self._talk.memory.request(exchange)
        if (header := fields.get("bypass")) is not None:
            exchange.bypass = header
        await self._layer.request(exchange)
        assert exchange.prompt is not None
        self.sent = exchange.prompt.assemble(request, takes_mid_system=True)
        exchange.request = self.sent
        self.usage = exchange.usage = self.billed(self.sent, exchange.model, self.now)
        self._talk.memory.accepted(exchange)
        model = find(exchange.model)
        assert model is not None
        return {block.path: block.ttl for block in render(self.sent, model) if block.ttl is not None}

    def answer(self, *content: Json) -> None:
        """Claude's answer to the request that was just asked."""
        self.exchange.answer = {"content": list(content)}
        if hasattr(self._layer, "response"):
            self._layer.response(self.exchange)

    def billed(self, request: Json, model_id: str, now: float) -> Usage:
        model = find(model_id)
        assert model is not None
        blocks = render(request, model)
        check_marks(request, blocks)
        reading = self.billing.read(request, blocks, model, "w", now)
        self.billing.begin(reading)
        return Usage(reading.input, reading.read, reading.write_5m, reading.write_1h)

    async def opened(self) -> None:
        await self._layer.opened()

    @property
    def decided(self) -> list[str]:
        return [str(decision) for decision in self.exchange.decisions]

    @property
    def noted(self) -> list[str]:
        return [str(note) for note in self.exchange.notes]

    def close(self) -> None:
        self._talk.close()
