"""The accounts of one running sidecar, put together: accountant, ledger and metrics.

Reading the price table and importing SQLAlchemy and the Prometheus client take a second or two. That happens on a
thread once the gateway listens; what ends before waits in the accountant.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.accounts.accounting import Accountant, Listener
from sidecar.accounts.prices import Prices
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.tokens.estimator import TokenEstimator

if TYPE_CHECKING:
    from sidecar.ledger.database import Database
    from sidecar.ledger.writer import LedgerWriter
    from sidecar.metrics import Metrics

log = logging.getLogger(__name__)

OPENING_SECONDS: Final = 60.0
"""The most that anybody waits for the books to be open."""
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds until they are opened again where the system refused: all its files were open, say."""


@dataclass(frozen=True, slots=True)
class _Opened:
    writer: LedgerWriter
    metrics: Metrics


class Books:
    """`accountant` is for the gateway's listeners; everything else works once `kept` has been entered."""

    def __init__(self, database: Callable[[], Database], home: Path, prices: Prices) -> None:
        """`database` blocks, and stays the caller's to close."""
        self._database = database
        self._home = home
        self._prices = prices
        self._estimator = TokenEstimator()
        self._opened: Future[_Opened] = Future()
        self._settled = asyncio.Event()
        self._closing = asyncio.Event()
        self.accountant: Final = Accountant(prices, self._estimator)

    @asynccontextmanager
    async def kept(
        self,
        listeners: Sequence[Listener],
        *,
        after: Awaitable[object],
        metrics: Callable[[LedgerWriter], Metrics],
    ) -> AsyncIterator[None]:
        """Keeps the books while the block runs, and closes them with every row stored as well as it can be.

        `listeners` hear of each settled exchange, after the metrics. `after` is what is more urgent than opening: two
        imports at once are no faster than one after the other. `metrics` makes them, in a thread.
        """
        opening = asyncio.create_task(self._open(listeners, after, metrics), name="open the books")
        try:
            yield
        finally:
            self._closing.set()
            await opening
            await self.accountant.close()
            if self._is_open():
                await asyncio.to_thread(self._opened.result().writer.close)

    def flush(self) -> bool:
        """Blocks until the rows so far are in the database; False when some are not."""
        try:
            return self._opened.result(OPENING_SECONDS).writer.flush()
        except TimeoutError:
            return False

    async def metrics(self) -> Metrics:
        """Waits until they are there. Raises GatewayError (503) when they will not be."""
        await self._settled.wait()
        if not self._is_open():
            raise GatewayError("api_error", "The metrics could not be loaded; the log says why.", status=503)
        return self._opened.result().metrics

    def health(self) -> Json:
        """`state` is `ok`, `starting`, `degraded` (the database refuses, rows are kept elsewhere) or `losing rows`."""
        if not self._opened.done():
            return {"state": "starting"}
        if (failure := self._opened.exception()) is not None:
            return {"state": "failed", "error": str(failure)}
        told = self._opened.result().writer.health()
        return {
            "state": "ok" if told.ok else "losing rows" if told.dropped else "degraded",
            "pending": told.pending,
            "written": told.written,
            "dropped": told.dropped,
            "where": told.where,
            "error": told.last_error,
        }

    def public_health(self) -> Json:
        """Without the address of the database and what it says: for a route that needs no key."""
        return {name: value for name, value in self.health().items() if name not in {"where", "error"}}

    async def _open(
        self,
        listeners: Sequence[Listener],
        after: Awaitable[object],
        metrics: Callable[[LedgerWriter], Metrics],
    ) -> None:
        await self._until_closing(after)
        try:
            opened = await self._load_at_last(metrics)
        except Exception as error:
            log.exception("the books cannot be opened: requests go on, and nothing is accounted for")
            self._opened.set_exception(error)
            self.accountant.open(None, listeners)
        else:
            self._opened.set_result(opened)
            self.accountant.open(opened.writer, [opened.metrics.observe, *listeners])
        self._settled.set()
        try:
            await asyncio.to_thread(self._estimator.load)
        except Exception:
            log.exception("what estimates tokens cannot be loaded: it is tried again when it is needed")

    async def _until_closing(self, other: Awaitable[object]) -> None:
        """Waits for it, and no longer than there is time. That it failed is for others to tell."""
        tasks = [asyncio.ensure_future(other), asyncio.create_task(self._closing.wait())]
        _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def _load_at_last(self, metrics: Callable[[LedgerWriter], Metrics]) -> _Opened:
        for pause in PAUSES:
            try:
                return await asyncio.to_thread(self._load, metrics)
            except OSError as error:
                log.warning("the books cannot be opened yet, and what is done waits for them: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)
        return await asyncio.to_thread(self._load, metrics)

    def _load(self, metrics: Callable[[LedgerWriter], Metrics]) -> _Opened:
        from sidecar.ledger.writer import LedgerWriter

        self._prices.load()
        writer = LedgerWriter(self._database(), self._home)
        watching = metrics(writer)
        writer.start()
        return _Opened(writer, watching)

    def _is_open(self) -> bool:
        return self._opened.exception() is None
