"""What happens, as it happens: one readable line a request."""

from __future__ import annotations

import logging
import time
from typing import Final

from sidecar.accounts.account import Account
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.headers import printable
from sidecar.ledger.money import dollars

log = logging.getLogger("cgw.requests")

ROUTES: Final = {
    "openai_chat": "chat",
    "openai_responses": "responses",
    "openai_completions": "completions",
    "anthropic_messages": "messages",
}
"""What a line calls each dialect."""


def log_line(exchange: Exchange) -> None:
    """Writes the line of a finished exchange to the log `cgw.requests`; what was decided for it only for debugging."""
    if log.isEnabledFor(logging.INFO):
        log.handle(RequestRecord(line_of(exchange)))
    if log.isEnabledFor(logging.DEBUG):
        for decision in exchange.decisions:
            log.debug("  %s", printable(str(decision)))


class RequestRecord(logging.LogRecord):
    """A record that is a message and nothing more. There is one for each request, and logging's own finds out which
    thread, process, task and line of the source each comes from: most of what it costs."""

    def __init__(self, message: str) -> None:
        now = time.time()
        self.__dict__ = {**_AS_ALWAYS, "msg": message, "created": now, "msecs": now % 1 * 1000}


_AS_ALWAYS: Final = vars(logging.LogRecord(log.name, logging.INFO, __file__, 0, "", None, None))


def log_refusal(method: str, path: str, status: int, error: GatewayError) -> None:
    """The line of a request that never became an exchange: `401 POST /v1/messages | The API key is not ...`."""
    log.info("%s", printable(f"{status} {method} {path} | {error.message}"))


def line_of(exchange: Exchange) -> str:
    """`200 chat aider sonnet -> claude-sonnet-5-5 | in 12,345 (11,000 cached) out 512 | $0.0089 | 3.10 s`."""
    model = printable(exchange.model_asked)
    if exchange.model and exchange.model != exchange.model_asked:
        model += f" -> {printable(exchange.model)}"
    parts = [f"{_status(exchange)} {_route(exchange)} {exchange.client} {model}"]
    usage = exchange.usage
    if usage.prompt_tokens or usage.output_tokens:
        cached = f" ({usage.cache_read_tokens:,} cached)" if usage.cache_read_tokens else ""
        parts.append(f"in {usage.prompt_tokens:,}{cached} out {usage.output_tokens:,}")
    if exchange.account is not None and (exchange.account.bill or exchange.account.baseline):
        parts.append(_money(exchange.account))
    if exchange.cache_miss:
        parts.append(printable(f"prompt cache missed: {exchange.cache_miss.get('type')}"))
    parts.append(_times(exchange))
    if exchange.error is not None:
        parts.append(printable(exchange.error.message))
    return " | ".join(parts)


def _status(exchange: Exchange) -> str:
    return (
        "left"
        if exchange.cancelled
        else f"{exchange.status} {exchange.cache}"
        if exchange.cache == "HIT"
        else str(exchange.status)
    )


def _route(exchange: Exchange) -> str:
    if exchange.kind == "count_tokens":
        return "count_tokens"
    return ROUTES[exchange.dialect]


def _money(account: Account) -> str:
    """What it cost, `~` where that is an estimate, and what it would have cost more (or less) without us."""
    cost = dollars(account.bill, estimated=account.estimated)
    if not account.saved:
        return cost
    return f"{cost} saved {dollars(account.saved)}" if account.saved > 0 else f"{cost} lost {dollars(-account.saved)}"


def _times(exchange: Exchange) -> str:
    timing = exchange.timing
    total = timing.since_received(timing.finished) or 0.0
    first = timing.since_received(timing.first_byte)
    return f"{total:.2f} s" if first is None else f"first {first:.2f} s, {total:.2f} s"
