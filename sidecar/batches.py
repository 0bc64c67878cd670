"""Message batches: whose they are, and what they cost.

A batch goes to Claude and comes back byte for byte; nothing in it is shortened or routed. Anthropic bills it at half
the price, message by message, and only the results say how much. So it is in the ledger once its results have been
read to their end through cgw, as one row for each model; a batch whose results are never fetched here is not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Final

import orjson

from sidecar.accounts.account import Account
from sidecar.exchange import Exchange, Usage
from sidecar.limits.toll import BATCH

if TYPE_CHECKING:
    from sidecar.accounts.prices import Prices
    from sidecar.store.shelves import Shelf

log = logging.getLogger(__name__)

NAMESPACE: Final = "batches"
SIZE_LIMIT_BYTES: Final = 16 * 1024 * 1024
KEPT_SECONDS: Final = 40 * 86_400.0
"""Anthropic keeps the results of a batch for 29 days."""

REMEMBERED: Final = 1_000
"""Batches whose project is known without a look at the disk."""


@dataclass(slots=True)
class Tally:
    """The results of one batch as they pass: lines of JSON in, sums by model out."""

    price: Callable[[str, Usage], int]
    """Pico-dollars of one message. Each is priced by itself: some prices depend on how long a prompt is."""
    sums: dict[str, tuple[Usage, int]] = field(default_factory=dict)
    _rest: bytes = b""

    def feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._count(line)

    def end(self) -> None:
        self._count(self._rest)
        self._rest = b""

    def _count(self, line: bytes) -> None:
        try:
            message = orjson.loads(line)["result"]["message"]
            model, told = message["model"], message["usage"]
        except (ValueError, LookupError, TypeError):
            return  # errored, canceled, expired: not billed
        usage = Usage()
        usage.update(told)
        usage.service_tier = BATCH
        before, cost = self.sums.get(model, (Usage(service_tier=BATCH), 0))
        self.sums[model] = before + usage, cost + self.price(model, usage)


class BatchBooks:
    def __init__(self, shelf: Callable[[], Shelf], prices: Prices, settle: Callable[[Exchange], None]) -> None:
        """`shelf` is asked for with the first batch. `settle` is the accountant."""
        self._shelf = shelf
        self._prices = prices
        self._settle = settle
        self._projects: OrderedDict[str, str] = OrderedDict()
        self._settled: set[str] = set()

    def made(self, batch_id: str, project: str) -> None:
        self._remember(batch_id, project)
        self._shelf().put(batch_id, project.encode(), KEPT_SECONDS, project=project)

    async def project_of(self, batch_id: str) -> str | None:
        """None for a batch that was not made through cgw."""
        if (known := self._projects.get(batch_id)) is not None:
            return known
        kept = await asyncio.to_thread(self._shelf().get, batch_id)
        if kept is None:
            return None
        self._remember(batch_id, kept.decode())
        return kept.decode()

    def tally(self, asked: Exchange) -> Tally:
        return Tally(lambda model, usage: self._prices.cost(model, usage, asked.started, service_tier=BATCH).total)

    async def settle(self, batch_id: str, asked: Exchange, tally: Tally) -> None:
        """The results of a batch were read to their end. Counted once, however often they are read."""
        tally.end()
        mark = f"settled {batch_id}"
        if batch_id in self._settled or await asyncio.to_thread(self._shelf().get, mark) is not None:
            return
        self._settled.add(batch_id)
        self._shelf().put(mark, b"1", KEPT_SECONDS, project=asked.project)
        for model, (usage, cost) in tally.sums.items():
            row = Exchange(
                id=f"{batch_id}-{model}",
                dialect="anthropic_messages",
                client_headers=asked.client_headers,
                query="",
                client_body=b"",
                request={},
                stream=False,
                model_asked=model,
                model=model,
                model_resolved=model,
                route_reason="batch",
                project=asked.project,
                policy=asked.policy,
                client=asked.client,
                usage=usage,
                account=Account(cost, cost),
                status=200,
                stop_reason="end_turn",
            )
            row.timing.upstream_sent = row.timing.upstream_ended = row.timing.finished = perf_counter()
            self._settle(row)
            log.info("batch %s cost $%.6f for %s", batch_id, cost / 10**12, model)

    def _remember(self, batch_id: str, project: str) -> None:
        self._projects[batch_id] = project
        while len(self._projects) > REMEMBERED:
            self._projects.popitem(last=False)
