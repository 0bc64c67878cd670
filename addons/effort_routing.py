"""Lets Claude think less about a turn that only reads what a tool gave back. Off, unless a project turns it on.

Another effort loses the messages' part of the prompt cache, so it is done only where the economy says that it pays:
in short conversations, or where nothing is warm. Once lowered it stays so until the user speaks again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from sidecar.accounts.account import MICRO_USD
from sidecar.economy.effort import lower_effort
from sidecar.economy.warmth import readable
from sidecar.headers import ROUTING
from sidecar.models.catalogue import EFFORTS
from sidecar.routing.decide import TURN_OUTPUT
from sidecar.routing.findings import is_result
from sidecar.services import Services

if TYPE_CHECKING:
    from sidecar.exchange import Exchange
    from sidecar.prompt import Prompt

LAYER: Final = "effort_routing"
TURNS: Final = 4
"""At lower effort, until the user speaks again."""


class EffortRouting:
    def __init__(self, services: Services) -> None:
        self._enabled = services.settings.route_effort
        self._catalogue = services.catalogue
        self._prices = services.prices
        self._prices_read = False

    async def request(self, exchange: Exchange) -> None:
        prompt, headers = exchange.prompt, exchange.client_headers
        if prompt is None or exchange.bypass or not exchange.policy.switch("route_effort", self._enabled):
            return
        if headers.get(ROUTING, "").lower() == "off" or headers.get("x-gateway-strict") == "1":
            return
        lowest = self._lowest(exchange)
        if lowest is None or not _only_results(prompt):
            return
        if not self._prices_read:
            await asyncio.to_thread(self._prices.load)
            self._prices_read = True
        head = bisect_left(prompt.positions, True, key=lambda at: at.zone == "messages")
        before, total = prompt.tokens_until(head), prompt.tokens_until(len(prompt.positions))
        warm = readable(prompt.line, prompt.frozen, model=exchange.model, now=exchange.now) if prompt.line else []
        most = exchange.request.get("max_tokens")
        trade = lower_effort(
            self._prices.row(exchange.model, exchange.started).rates(total),
            warm=max(0, warm[-1].tokens - before) if warm else 0,
            messages=total - before,
            growth=total - prompt.tokens_until(_newest_call(prompt)),
            output=min(TURN_OUTPUT, most) if isinstance(most, int) else TURN_OUTPUT,
            turns=TURNS,
            lowered=_was_lowered(prompt, lowest),
        )
        exchange.decide(
            LAYER,
            str(trade),
            rewritten_tokens=trade.rewritten,
            cost_micro_usd=trade.cost // MICRO_USD,
            saved_micro_usd=trade.saves // MICRO_USD,
        )
        if trade.pays:
            output = {"effort": lowest} | {**(exchange.request.get("output_config") or {}), "effort": lowest}
            exchange.request = {**exchange.request, "output_config": output}
            exchange.edited = True
            exchange.note("output_config.effort", "changed", f"{lowest}: this turn only reads what a tool gave back")

    def _lowest(self, exchange: Exchange) -> str | None:
        """The lowest effort that the model takes; None where it takes none, or the client wants no more than that."""
        efforts = self._catalogue.card(exchange.model).efforts
        output, thinking = exchange.request.get("output_config") or {}, exchange.request.get("thinking") or {}
        asked = output.get("effort") or exchange.effort_hint
        if not efforts or thinking.get("type") not in (None, "adaptive") or asked not in (None, *EFFORTS):
            return None
        return None if asked is not None and EFFORTS.index(asked) <= EFFORTS.index(efforts[0]) else efforts[0]


def _only_results(prompt: Prompt) -> bool:
    newest = prompt.positions[prompt.newest :]
    return bool(newest) and all(is_result(at) for at in newest)


def _newest_call(prompt: Prompt) -> int:
    """Where the call begins whose result this is: what one turn of the loop adds."""
    index = prompt.newest
    while index and prompt.positions[index - 1].role == "assistant":
        index -= 1
    return index


def _was_lowered(prompt: Prompt, lowest: str) -> bool:
    """Whether the request that this one goes on from went out at the lowest effort."""
    told = prompt.line.terms if prompt.line is not None and prompt.goes_on else None
    return told is not None and f'"effort":"{lowest}"' in told.get("output_config", "")
