"""What prompts count: estimated where Claude did not say, and learned from every answer where it did.

A conversation's newest usage is its anchor: what was added since is all that is estimated, within some 0.1 % of the
whole. The same usage sets the scale of its model and project. Both need the prompt's shape, so learning counts it, on a
thread: one prompt at a time, and only where there is something new to learn. A prompt that comes while another one is
counted is not learned from; the next one of its conversation will be.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from sidecar.exchange import Exchange, Json
from sidecar.tokens.estimator import Anchor, Shape, TokenEstimator

log = logging.getLogger(__name__)

GROWN: Final = 0.1
"""By how much of it a prompt must differ from its conversation's anchor to be counted: an agent's steps add little."""
SHARE: Final = 0.04
"""Of the time, that lessons may take: a long prompt is counted for as long as ten requests take, and a crowd of
conversations has hardly more to teach than one."""
SHORTEST_REST: Final = 0.2
"""Seconds between two lessons, however short they were: each is a trip to another thread."""
LONGEST_REST: Final = 1.0
PIECE: Final = 0.005
"""Seconds that are worked at a time: a megabyte takes 150 ms, which ten requests would wait for on one core."""
CONVERSATIONS: Final = 1024
"""Whose anchors are kept."""

_Key = tuple[str, str, str]


class Prompts:
    """Belongs to the event loop, except `tokens`, which blocks."""

    def __init__(self, estimator: TokenEstimator, *, share: float = SHARE) -> None:
        """With a `share` of 1 it never rests."""
        self._hurry: Final = asyncio.Event()
        """Whether somebody waits for what is being learned."""
        self._rest: Final = PIECE * (1 / share - 1)
        """Seconds behind each piece."""
        self._estimator = estimator
        self._anchors: OrderedDict[_Key, Anchor] = OrderedDict()
        self._lesson: asyncio.Task[None] | None = None
        self._rested_at = 0.0
        """When the next lesson may begin, by the clock of `time.monotonic`."""

    def tokens(self, exchange: Exchange) -> int:
        """The tokens of a prompt whose usage never came. Blocks while it counts; for a thread."""
        shape = self._estimator.count_request(exchange.request)
        anchor = self._anchors.get(_key(exchange))
        return self._estimator.predict(
            exchange.model, exchange.project, shape, tools=_has_tools(exchange), anchor=anchor
        )

    def learn(self, exchange: Exchange) -> None:
        """Take in what the usage of an answer says, in the background. The answer must be whole."""
        if self._lesson is None and time.monotonic() >= self._rested_at and self._is_news(exchange):
            self._lesson = asyncio.create_task(self._learn(exchange), name=f"learn from {exchange.id}")

    async def close(self) -> None:
        """Returns once what is being learned is known."""
        self._hurry.set()
        if self._lesson is not None:
            await self._lesson
        self._hurry.clear()

    def _is_news(self, exchange: Exchange) -> bool:
        if exchange.usage.web_searches:  # its prompt was read several times, with texts that are not in the request
            return False
        anchor, tokens = self._anchors.get(_key(exchange)), exchange.usage.prompt_tokens
        return anchor is None or abs(tokens - anchor.tokens) > GROWN * anchor.tokens

    async def _learn(self, exchange: Exchange) -> None:
        tokens = exchange.usage.prompt_tokens
        try:
            shape = await self._count(exchange.request)
        except Exception:
            log.exception("the prompt of request %s cannot be counted", exchange.id)
        else:
            self._estimator.calibrate(exchange.model, exchange.project, shape, tokens, tools=_has_tools(exchange))
            self._anchors[_key(exchange)] = Anchor(shape, tokens)
            self._anchors.move_to_end(_key(exchange))
            if len(self._anchors) > CONVERSATIONS:
                self._anchors.popitem(last=False)
        finally:
            self._rested_at = time.monotonic() + (max(SHORTEST_REST, self._rest) if self._rest else 0.0)
            self._lesson = None

    async def _count(self, request: Json) -> Shape:
        """Piece by piece, with rests between them. What was counted is remembered, so the whole is only added up."""
        messages = iter(request.get("messages") or ())
        while await asyncio.to_thread(self._count_some, messages):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), min(self._rest, LONGEST_REST))
        return await asyncio.to_thread(self._estimator.count_request, request)

    def _count_some(self, messages: Iterator[Json]) -> bool:
        """Whether there may be more."""
        until = time.thread_time() + PIECE
        for message in messages:
            self._estimator.count_blocks(message["content"])
            if time.thread_time() > until:
                return True
        return False


def _key(exchange: Exchange) -> _Key:
    return exchange.project, exchange.conversation, exchange.model


def _has_tools(exchange: Exchange) -> bool:
    return bool(exchange.request.get("tools"))
