"""One request as a row: the same shape in the live feed, in a detail and from the ledger.

Money is whole pico-dollars, moments are epoch seconds, durations milliseconds; what is not known yet is null.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final, Literal

from sidecar.accounts.account import UNBILLED
from sidecar.errors import CLIENT_LEFT
from sidecar.exchange import Exchange, Json, Usage

if TYPE_CHECKING:
    from sidecar.ledger.rows import LedgerRow

Held = Literal["hit", "partly", "miss", "new", "none"]
"""How Claude's prompt cache held what was sent before: nearly all, some or nothing of it (`sidecar.miss_causes` says
what was expected, and why it was not there); or it only took something in; or neither."""

BYTES_A_TOKEN: Final = 4
"""For output that still streams: an estimate until Claude says it."""


def row_of(exchange: Exchange, *, has_body: bool = False) -> Json:
    """Of an exchange in any state."""
    usage, timing = exchange.billed, exchange.timing
    account = exchange.account or UNBILLED
    ended = timing.finished is not None
    miss = exchange.miss
    return {
        "id": exchange.id,
        "time": round(exchange.started.timestamp(), 3),
        "state": _state(exchange.status, cancelled=exchange.cancelled) if ended else "running",
        "kind": exchange.kind,
        "dialect": exchange.dialect,
        "stream": exchange.stream,
        "project": exchange.project,
        "client": exchange.client,
        "conversation": exchange.conversation,
        "model_asked": exchange.model_asked,
        "model": exchange.model,
        "route_reason": exchange.route_reason,
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens if ended else streamed_tokens(exchange),
        "thinking_tokens": usage.thinking_tokens,
        "removed_tokens": exchange.removed_tokens,
        "delivered_bytes": exchange.delivered,
        "cache": "JOINED" if exchange.joined is not None else exchange.cache,
        "prompt_cache": _held(usage, missed=exchange.miss is not None) if ended else "none",
        "cost_picos": account.bill,
        "baseline_picos": account.baseline,
        "saved_picos": account.saved,
        "saved_by": dict(account.savings),
        "estimated": account.estimated,
        "first_byte_ms": _ms(timing.since_received(timing.first_byte)),
        "duration_ms": _ms(timing.since_received(timing.finished)),
        "overhead_ms": _ms(timing.overhead),
        "status": exchange.status,
        "error": exchange.error.message if exchange.error is not None else None,
        "stop_reason": exchange.stop_reason,
        "retries": exchange.retries,
        "miss": None
        if miss is None
        else {"ours": miss.ours, "cause": miss.cause, "tokens": miss.tokens, "cost_picos": miss.cost_picos},
        "has_body": has_body,
        "via": exchange.via,
    }


def row_of_ledger(row: LedgerRow, *, has_body: bool = False) -> Json:
    """Of a request that only the ledger remembers."""
    return {
        "id": row.id,
        "time": round(row.time.timestamp(), 3),
        "state": _state(row.status, cancelled=row.cancelled),
        "kind": "generate",
        "dialect": row.dialect,
        "stream": False,
        "project": row.project,
        "client": row.client,
        "conversation": row.conversation,
        "model_asked": row.model_requested,
        "model": row.model,
        "route_reason": row.route_reason,
        "input_tokens": row.input_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "cache_write_tokens": row.cache_write_5m_tokens + row.cache_write_1h_tokens,
        "output_tokens": row.output_tokens,
        "thinking_tokens": row.thinking_tokens,
        "removed_tokens": row.removed_tokens,
        "delivered_bytes": 0,
        "cache": row.cache,
        "prompt_cache": _held(row, missed=row.miss_cause is not None),
        "cost_picos": row.cost_picos,
        "baseline_picos": row.baseline_picos,
        "saved_picos": row.baseline_picos - row.cost_picos,
        "saved_by": dict(row.saved_picos),
        "estimated": row.estimated,
        "first_byte_ms": row.ttft_ms,
        "duration_ms": row.duration_ms,
        "overhead_ms": row.overhead_ms,
        "status": row.status,
        "error": row.error_class,
        "stop_reason": row.stop_reason,
        "retries": row.retries,
        "miss": None
        if row.miss_cause is None
        else {
            "ours": row.miss_ours,
            "cause": row.miss_cause,
            "tokens": row.miss_tokens,
            "cost_picos": row.miss_picos,
        },
        "has_body": has_body,
        "via": row.via,
    }


def tick_of(exchange: Exchange) -> Json:
    """What has changed in a request that still runs."""
    timing = exchange.timing
    return {
        "id": exchange.id,
        "output_tokens": streamed_tokens(exchange),
        "delivered_bytes": exchange.delivered,
        "first_byte_ms": _ms(timing.since_received(timing.first_byte)),
        "elapsed_ms": _ms(perf_counter() - timing.received),
    }


def streamed_tokens(exchange: Exchange) -> int:
    """Output so far: an estimate from bytes until Claude has said it."""
    return max(exchange.usage.output_tokens, exchange.delivered // BYTES_A_TOKEN)


def _state(status: int, *, cancelled: bool) -> str:
    if cancelled or status == CLIENT_LEFT:
        return "left"
    return "failed" if status >= 400 else "ok"


def _held(counted: Usage | LedgerRow, *, missed: bool) -> Held:
    if missed:
        return "partly" if counted.cache_read_tokens else "miss"
    if counted.cache_read_tokens:
        return "hit"
    return "new" if counted.cache_write_5m_tokens + counted.cache_write_1h_tokens else "none"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
