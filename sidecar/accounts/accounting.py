"""From a finished exchange to its account and its row in the ledger.

What is known of the cost depends on how the exchange ended:

    nothing went to Claude    nothing was billed; an answer from a cache spared what it once cost, a shared one what
                              it costs the exchange that asked for it
    refused, unreachable      nothing was billed
    answered                  what usage says, exactly
    broken off, left early    Anthropic bills the prompt once the answer has begun, and the output up to the end:
                              reported counters where there are any, else an estimate from what arrived; so marked
    left before it began      unknown; counted as nothing, and marked estimated
    retracted                 billed besides what the client got; the loss of the layer that spoiled it
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Final, Protocol

from sidecar.accounts.account import UNBILLED, Account, Reduction, answered, as_marked, charged, cut_short, spared
from sidecar.accounts.layers import plainly, reductions
from sidecar.accounts.prices import Cost, Prices
from sidecar.accounts.prompts import Prompts
from sidecar.exchange import Exchange, MissCause, Usage
from sidecar.headers import route_of
from sidecar.ledger.rows import LedgerRow
from sidecar.tokens.estimator import Shape, TokenEstimator

log = logging.getLogger(__name__)

BYTES_A_PIECE: Final = 4
"""Of an answer's deltas; English and code have 3.5 to 4.5 in the vocabulary that `tokens` counts with."""

RESPONSE_CACHE: Final = "response_cache"
COALESCE: Final = "coalesce"
UNKNOWN_COST: Final = Account(0, 0, estimated=True)

Listener = Callable[[Exchange], None]


class Ledger(Protocol):
    def add(self, row: LedgerRow) -> None:
        """Takes a row without blocking."""


class Accountant:
    """The gateway's listener: settles each exchange once, then tells everybody else who listens.

    Until `open`, finished exchanges wait: reading the price table and opening the ledger take a second, which neither
    start-up nor an answer waits for. Never raises; belongs to the event loop.
    """

    def __init__(self, prices: Prices, estimator: TokenEstimator) -> None:
        self._prices = prices
        self._estimator = estimator
        self._prompts = Prompts(estimator)
        self._ledger: Ledger | None = None
        self._listeners: Sequence[Listener] = ()
        self._waiting: list[Exchange] | None = []
        self._estimating: set[asyncio.Task[None]] = set()

    def open(self, ledger: Ledger | None, listeners: Sequence[Listener]) -> None:
        """Settle what waited, and from now on at once. Without a ledger no rows are kept, and listeners still hear.

        `listeners` are called in this order, once an exchange, with `account` set.
        """
        self._ledger = ledger
        self._listeners = tuple(listeners)
        waiting, self._waiting = self._waiting or (), None
        for exchange in waiting:
            self(exchange)

    async def close(self) -> None:
        """Returns once every exchange heard of so far is settled."""
        if self._estimating:
            await asyncio.wait(self._estimating)
        await self._prompts.close()

    def __call__(self, exchange: Exchange) -> None:
        if self._waiting is not None:
            self._waiting.append(exchange)
        elif _prompt_is_unknown(exchange):
            task = asyncio.create_task(self._settle_by_counting(exchange), name=f"count the prompt of {exchange.id}")
            self._estimating.add(task)
            task.add_done_callback(self._estimating.discard)
        else:
            self._settle(exchange)

    async def _settle_by_counting(self, exchange: Exchange) -> None:
        """On a thread, since a long prompt takes a while to count."""
        prompt_tokens = 0
        try:
            prompt_tokens = await asyncio.to_thread(self._prompts.tokens, exchange)
        except Exception:
            log.exception("the prompt of request %s cannot be counted", exchange.id)
        self._settle(exchange, prompt_tokens)

    def _settle(self, exchange: Exchange, prompt_tokens: int = 0) -> None:
        if exchange.kind == "generate":
            try:
                if exchange.account is None:  # what the gateway asked for itself comes with its account
                    exchange.account = self._with_retracted(exchange, self._account(exchange, prompt_tokens))
                if self._ledger is not None:
                    self._ledger.add(row_of(exchange, exchange.account))
                if exchange.timing.upstream_sent is not None and is_whole(exchange):
                    self._prompts.learn(exchange)
            except Exception:
                log.exception("request %s cannot be accounted for", exchange.id)
        for listener in self._listeners:
            try:
                listener(exchange)
            except Exception:
                log.exception("request %s was not told to %s", exchange.id, listener)

    def _account(self, exchange: Exchange, prompt_tokens: int) -> Account:
        if exchange.timing.upstream_sent is None:
            return self._spared(exchange)
        if not exchange.upstream_headers:
            return UNKNOWN_COST if exchange.cancelled else UNBILLED
        if is_whole(exchange):
            return self._answered(exchange)
        if not (exchange.usage.prompt_tokens or prompt_tokens):
            return UNKNOWN_COST if exchange.cancelled or _broke_off(exchange) else UNBILLED
        exchange.usage = self._cut_short(exchange, exchange.usage, exchange.delivered, prompt_tokens)
        return self._answered(exchange, estimated=True)

    def _cut_short(self, exchange: Exchange, usage: Usage, delivered: int, prompt_tokens: int) -> Usage:
        pieces = Shape(delivered // BYTES_A_PIECE)
        output_tokens = self._estimator.tokens(exchange.model, exchange.project, pieces)
        return cut_short(usage, prompt_tokens=prompt_tokens, output_tokens=output_tokens)

    def _with_retracted(self, exchange: Exchange, account: Account) -> Account:
        """Without us the client would have had its answer at once."""
        for one in exchange.retracted:
            if not one.whole:
                one.usage = self._cut_short(exchange, one.usage, one.delivered, one.usage.prompt_tokens)
            cost = self._cost(exchange, exchange.model, one.usage)
            account = charged(account, one.layer, cost.total, estimated=cost.estimated or not one.whole)
        return account

    def _spared(self, exchange: Exchange) -> Account:
        """Only a cache knows what its answer once cost; an answer that an addon made up has no price."""
        if exchange.spared is not None and exchange.error is None:
            return spared(COALESCE, self._cost(exchange, exchange.model_resolved, exchange.spared))
        if exchange.cache != "HIT" or exchange.answer is None:
            return UNBILLED
        usage = Usage()
        usage.update(exchange.answer.get("usage") or {})
        return spared(RESPONSE_CACHE, self._cost(exchange, exchange.model_resolved, usage))

    def _answered(self, exchange: Exchange, *, estimated: bool = False) -> Account:
        prompt, usage, model = exchange.prompt, exchange.usage, exchange.model
        cut: Sequence[Reduction] = ()
        plain: Callable[[Usage], Usage] = as_marked  # without a prompt, what went out is the client's own
        if prompt is not None:
            cut = reductions(prompt, usage, model)
            exchange.removed_tokens = sum(reduction.tokens for reduction in cut)
            automatic = exchange.request.get("cache_control") is not None
            plain = plainly(prompt, usage, model=model, now=exchange.now, automatic=automatic)
        if exchange.miss is not None:
            exchange.miss = replace(exchange.miss, cost_picos=self._cost_of_miss(exchange, exchange.miss.tokens))
        return answered(
            lambda model, usage: self._cost(exchange, model, usage),
            usage,
            model=model,
            model_asked=exchange.model_resolved,
            reductions=cut,
            plain=plain,
            estimated=estimated,
        )

    def _cost_of_miss(self, exchange: Exchange, tokens: int) -> int:
        """What so many tokens cost more than if they had been read from the cache."""
        paid, usage = self._cost(exchange, exchange.model, exchange.usage), copy(exchange.usage)
        for counter in ("cache_write_5m_tokens", "cache_write_1h_tokens", "input_tokens"):
            moved = min(tokens, getattr(usage, counter))
            setattr(usage, counter, getattr(usage, counter) - moved)
            usage.cache_read_tokens += moved
            tokens -= moved
        return max(0, paid.total - self._cost(exchange, exchange.model, usage).total)

    def _cost(self, exchange: Exchange, model: str, usage: Usage) -> Cost:
        return self._prices.cost(
            model,
            usage,
            exchange.started,
            speed=usage.speed,
            service_tier=usage.service_tier,
            inference_geo=usage.inference_geo,
        )


def is_whole(exchange: Exchange) -> bool:
    """Whether usage is final: the answer was read to its end, or at least to the `message_delta` that closes a
    stream."""
    ended = exchange.stop_reason is not None or not (exchange.cancelled or exchange.error)
    return ended and exchange.usage.prompt_tokens > 0


def _broke_off(exchange: Exchange) -> bool:
    """Not refused by Claude, but lost on the way: nobody knows how far it came."""
    return exchange.error is None or exchange.error.code == "upstream_broken"


def _prompt_is_unknown(exchange: Exchange) -> bool:
    """A plain answer that broke off in its body: Claude had finished it, and its usage stands at the end."""
    return (
        exchange.kind == "generate"
        and exchange.timing.upstream_sent is not None
        and not exchange.usage.prompt_tokens
        and bool(exchange.upstream_headers)
        and not exchange.stream
        and exchange.dialect == "anthropic_messages"
        and _broke_off(exchange)
    )


def row_of(exchange: Exchange, account: Account) -> LedgerRow:
    timing, usage = exchange.timing, exchange.billed
    return LedgerRow(
        id=exchange.id,
        time=exchange.started,
        project=exchange.project,
        client=exchange.client,
        dialect=exchange.dialect,
        conversation=exchange.conversation,
        model_requested=exchange.model_asked,
        model=exchange.model,
        route_reason=exchange.route_reason,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_5m_tokens=usage.cache_write_5m_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_tokens=usage.output_tokens,
        thinking_tokens=usage.thinking_tokens,
        cost_picos=account.bill,
        baseline_picos=account.baseline,
        saved_picos=dict(account.savings),
        cache=exchange.cache,
        status=exchange.status,
        stop_reason=exchange.stop_reason,
        ttft_ms=_milliseconds(timing.since_received(timing.first_byte)),
        duration_ms=_milliseconds(timing.since_received(timing.finished)),
        overhead_ms=_milliseconds(timing.overhead),
        retries=exchange.retries,
        cancelled=exchange.cancelled,
        estimated=account.estimated,
        error_class=error_class(exchange),
        holdout=exchange.holdout,
        cache_miss=cache_miss(exchange),
        removed_tokens=exchange.removed_tokens,
        route=None if exchange.route is None else route_of(exchange),
        via=exchange.via,
        **({} if exchange.miss is None else _miss(exchange.miss)),
    )


def _miss(miss: MissCause) -> dict[str, Any]:
    return {
        "miss_cause": miss.cause,
        "miss_ours": miss.ours,
        "miss_tokens": miss.tokens,
        "miss_picos": miss.cost_picos,
    }


def cache_miss(exchange: Exchange) -> str | None:
    """`system_changed 41200`: Anthropic's reason, and the tokens that had to be written anew where it says how many."""
    if not exchange.cache_miss:
        return None
    tokens = exchange.cache_miss.get("cache_missed_input_tokens")
    return f"{exchange.cache_miss.get('type')} {tokens}" if tokens else str(exchange.cache_miss.get("type"))


def error_class(exchange: Exchange) -> str | None:
    """`overloaded_error`, or with the code that says more: `api_error/upstream_broken`."""
    if (error := exchange.error) is None:
        return None
    return f"{error.kind}/{error.code}" if error.code else error.kind


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
