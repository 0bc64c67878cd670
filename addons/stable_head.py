"""Splits a system prompt where its stable part ends, so that a cache marker on that part serves other conversations."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from sidecar.conversation import texts_of
from sidecar.exchange import Exchange
from sidecar.repair.stable import split_point
from sidecar.services import Services

LAYER: Final = "prompt_cache"
TEXTS_KEPT: Final = 4
HEADS_KEPT: Final = 64
LONGEST: Final = 200_000
"""Characters of a system prompt that is compared; longer ones pass as they are."""


class StableHead:
    """For what no repair reaches, the first request of a conversation: a clock in the system prompt makes it another
    one each time, and all of it would be written anew. The two parts together are the client's text to the letter."""

    def __init__(self, services: Services) -> None:
        self._enabled = services.settings.enable_anthropic_cache_control
        self._texts: OrderedDict[tuple[str, str, str, bytes], deque[str]] = OrderedDict()
        """The newest different system texts of each project, client, model and set of tools."""

    def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        enabled = exchange.policy.switch("enable_anthropic_cache_control", self._enabled)
        if prompt is None or prompt.line is not None or exchange.bypass or not enabled:
            return
        system = [index for index, at in enumerate(prompt.positions[: prompt.newest]) if at.zone == "system"]
        block = prompt.block(system[-1]) if system else None
        texts = texts_of(block) if block is not None else []
        if not texts or len(texts[0]) > LONGEST or system[-1] in prompt.client_marks:
            return
        before = prompt.chain[system[-1] - 1] if system[-1] else b""
        earlier = self._earlier((exchange.project, exchange.client, exchange.model, before))
        cut = split_point(earlier, texts[0])
        if cut is not None and texts[0][cut:].strip():  # Claude takes no blank text
            prompt.split(system[-1], cut)
            exchange.decide(
                LAYER,
                f"the system prompt is split at character {cut:,}: up to there it is as in earlier conversations",
                characters=cut,
            )
        if texts[0] not in earlier:
            earlier.append(texts[0])

    def _earlier(self, head: tuple[str, str, str, bytes]) -> deque[str]:
        texts = self._texts.setdefault(head, deque(maxlen=TEXTS_KEPT))
        self._texts.move_to_end(head)
        while len(self._texts) > HEADS_KEPT:
            self._texts.popitem(last=False)
        return texts
