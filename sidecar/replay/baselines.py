"""What a request would have cost without cgw: sent plainly, and with Anthropic's automatic caching.

Nothing is worked out by hand: the request is the one that cgw would send without any layer, and the simulator's own
cache bills it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from sidecar.dialects import openai_chat, openai_completions, openai_responses
from sidecar.exchange import Dialect, Json
from sidecar.fit import fit
from sidecar.models.catalogue import Catalogue
from sidecar.replay.sessions import Turn
from sidecar.simulator.caching import PromptCache, Reading
from sidecar.simulator.ledger import Row, bill
from sidecar.simulator.models import Model
from sidecar.simulator.prompt import PromptBlock

AUTOMATIC: Json = {"type": "ephemeral"}
"""At the top level of a request: one mark that lives five minutes, at the newest end."""


class Plain:
    """What cgw would send without layers."""

    def __init__(self, catalogue: Catalogue, api_version: str) -> None:
        self._catalogue = catalogue
        self._api_version = api_version

    def request(self, body: Json, dialect: Dialect, model: str) -> Json:
        """Raises GatewayError for a body that cgw refuses."""
        if dialect == "anthropic_messages":
            return {**body, "model": model}
        fitted, _ = fit(
            _decoded({**body, "model": model}, dialect),
            self._catalogue.card(model),
            api_version=self._api_version,
            default_max_tokens=None,
        )
        return fitted

    def answer(self, turn: Turn, dialect: Dialect) -> list[Json]:
        """The blocks of a recorded answer, as Claude wrote them and as the next request brings them back."""
        if turn.answer is None:
            return []
        if dialect == "anthropic_messages" or "role" not in turn.answer or _is_claudes(turn.answer):
            return list(turn.answer.get("content") or ())
        messages = turn.body["messages"]
        before = _decoded({**turn.body, "model": "any"}, dialect)["messages"]
        after = _decoded({**turn.body, "model": "any", "messages": [*messages, turn.answer]}, dialect)["messages"]
        begun = len(before[-1]["content"]) if before[-1]["role"] == "assistant" else 0
        number = len(before) - 1 if begun else len(before)
        if number >= len(after) or after[number]["role"] != "assistant":
            return []
        return list(after[number]["content"][begun:])


def _decoded(body: Json, dialect: Dialect) -> Json:
    if dialect == "openai_completions":
        return openai_completions.decode(body).requests[0]
    decode = openai_responses.decode if dialect == "openai_responses" else openai_chat.decode
    return decode(body).request


def _is_claudes(answer: Json) -> bool:
    return answer.get("type") == "message"


class Cache:
    """A prompt cache of its own, for one way of marking requests."""

    def __init__(self) -> None:
        self._cache = PromptCache()

    def automatic(self, request: Json, blocks: list[PromptBlock], model: Model, at: float) -> Reading:
        """With one mark at the newest end; a client that marks its requests itself is taken at its word."""
        if not any(block.marks for block in blocks):
            request = {**request, "cache_control": AUTOMATIC}
        return self._read(request, blocks, model, at)

    def marked(
        self, request: Json, blocks: Sequence[PromptBlock], marks: Mapping[int, str], model: Model, at: float
    ) -> Reading:
        """With these marks (index of the block, lifetime) and no others."""
        chosen = [replace(block, ttl=marks.get(index)) for index, block in enumerate(blocks)]
        return self._read({**request, "cache_control": None}, chosen, model, at)

    def _read(self, request: Json, blocks: list[PromptBlock], model: Model, at: float) -> Reading:
        reading = self._cache.read(request, blocks, model, "replay", at)
        self._cache.begin(reading)
        return reading


def input_cost(model: Model, reading: Reading) -> Decimal:
    """Micro-dollars for what the model read."""
    return bill(model, reading, 0, speed=None, geo=None)


def output_cost(model: Model, row: Row) -> Decimal:
    """Micro-dollars for what it wrote."""
    return bill(model, reading_of(row), row.output_tokens, speed=None, geo=None) - input_cost(model, reading_of(row))


def uncached(tokens: int) -> Reading:
    return Reading(tokens, 0, 0, 0)


def reading_of(row: Row) -> Reading:
    """What a request was billed for."""
    return Reading(row.input_tokens, row.cache_read_tokens, row.cache_write_5m_tokens, row.cache_write_1h_tokens)
