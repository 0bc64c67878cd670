"""Replaces old tool results by one line each, in one large step, where the prompt would not fit any more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from sidecar.conversation import texts_of
from sidecar.cut_texts import CutTexts
from sidecar.cuts import stub
from sidecar.economy.edits import StepCut, step_cut
from sidecar.exchange import Exchange
from sidecar.prompt import Prompt
from sidecar.services import Services
from sidecar.tool_results import ToolNames

LAYER: Final = "context_pruning"
NEWEST_KEPT: Final = 10
"""Tool results that are never touched."""
SHORTEST: Final = 600
"""Characters: a shorter result stays."""
FULLEST: Final = 0.97
"""Share of the model's window up to which a prompt is taken to fit: its length is estimated."""
LEAST_WHEN_COLD: Final = 0.2
"""Share of the prompt that must go: for less, nothing that a model may still need is taken away."""
TYPICAL_GROWTH: Final = 2_000
"""Tokens that a request adds, where the conversation does not tell."""


class ContextPruning:
    """Comes before the layers that shorten: what it touches is live again, and theirs. Never a person's words."""

    def __init__(self, services: Services) -> None:
        self._mode = services.settings.context_pruning
        self._catalogue = services.catalogue
        self._prices = services.prices
        self._pace = services.pace
        self._cut_texts = CutTexts(services.shelves)

    async def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        strict = exchange.client_headers.get("x-gateway-strict") == "1"
        if prompt is None or self._mode == "off" or strict or not exchange.reduces:
            return
        window = self._catalogue.card(exchange.model).max_input_tokens
        if prompt.line is None and (window is None or prompt.live_bytes <= window * FULLEST):
            return  # a new one, of fewer bytes than it may have tokens
        tokens = prompt.tokens_until(len(prompt.positions))
        fits = window is None or tokens <= window * FULLEST
        if fits and not (self._mode == "cold" and prompt.cold):
            return
        await asyncio.to_thread(self._prune, exchange, prompt, tokens, None if fits else window)

    def _prune(self, exchange: Exchange, prompt: Prompt, tokens: int, window: int | None) -> None:
        """`window` in tokens, where the prompt does not fit it."""
        stubs = dict(_stubs(prompt))
        saved = {index: _saved(prompt, index, line) for index, line in stubs.items()}
        cut = self._step(exchange, prompt, tokens, sum(saved.values()), window)
        if window is None and (not cut.pays or cut.cut < tokens * LEAST_WHEN_COLD):
            exchange.decide(LAYER, f"cold, and nothing was cut: {cut.cut:,} of {tokens:,} tokens could go")
            return
        chosen = [index for index in stubs if not saved[index]]
        reached = 0
        for index in (index for index in stubs if saved[index]):
            if reached >= cut.cut:
                break
            chosen.append(index)
            reached += saved[index]
        if reached == 0:
            exchange.decide(LAYER, "too long for the model, and nothing old enough to cut", tokens=tokens)
            return
        prompt.thaw()
        for index in chosen:
            block = prompt.positions[index].block
            prompt.replace(index, {**block, "content": stubs[index]}, LAYER)
        self._keep(exchange, prompt, chosen)
        why = "too long for the model" if window is not None else "the cache is cold"
        count = len(chosen)
        exchange.note("messages", "changed", f"{count} old tool results cut to a line each; `cgw show` lists them")
        exchange.decide(LAYER, f"{why}: {count} old tool results, {cut}", tokens=tokens, removed_tokens=reached)

    def _step(self, exchange: Exchange, prompt: Prompt, tokens: int, cuttable: int, window: int | None) -> StepCut:
        requests = prompt.line.requests if prompt.line else []
        growth = (requests[-1].tokens - requests[0].tokens) // (len(requests) - 1) if len(requests) > 1 else 0
        return step_cut(
            self._prices.row(exchange.model, exchange.started).rates(tokens),
            prompt=tokens,
            cuttable=cuttable,
            growth=growth if growth > 0 else TYPICAL_GROWTH,
            further=self._pace.further(exchange.client, prompt.line.turns + 1 if prompt.line else 1),
            warm=window is not None and not prompt.cold,
            limit=None if window is None else int(window * FULLEST),
        )

    def _keep(self, exchange: Exchange, prompt: Prompt, chosen: list[int]) -> None:
        names = ToolNames(prompt)
        for index in chosen:
            block = prompt.positions[index].block
            self._cut_texts.keep(
                "\n".join(texts_of(block)),
                names.result(block),
                at=exchange.started,
                project=exchange.project,
                client=exchange.client,
            )


def _stubs(prompt: Prompt) -> Iterator[tuple[int, str]]:
    """The line that could stand in the place of each tool result that is old and long enough."""
    names = ToolNames(prompt)
    results = [index for index, at in enumerate(prompt.positions) if at.kind == "tool_result"]
    for index in results[:-NEWEST_KEPT]:
        block = prompt.positions[index].block
        content = block.get("content")
        if isinstance(content, list) and any(part.get("type") != "text" for part in content):
            continue
        text = "\n".join(texts_of(block))
        if len(text) >= SHORTEST:
            yield index, stub(names.result(block), text)


def _saved(prompt: Prompt, index: int, line: str) -> int:
    """Tokens, from what is sent now; 0 where the line stands there already."""
    sent = prompt.block(index)
    if sent is None or sent.get("content") == line:
        return 0
    return max(1, round((prompt.size(index) - len(line)) / prompt.bytes_a_token))
