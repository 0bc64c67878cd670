"""The books of one sidecar: open late, closed with everything stored, and never in the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sidecar.accounts.bookkeeping import Books
from sidecar.accounts.prices import Prices
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Timing, Usage
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT, usage
from sidecar.ledger.writer import LedgerWriter
from sidecar.metrics import Metrics
from tests.support.exchanges import an_exchange

PRICES = Prices()


def answered(request_id: str) -> Exchange:
    return an_exchange(
        id=request_id,
        model_resolved="claude-sonnet-5-5",
        status=200,
        stop_reason="end_turn",
        usage=Usage(1000),
        upstream_headers={"request-id": "req_011"},
        timing=Timing(upstream_sent=1.0),
    )


def watching(writer: LedgerWriter) -> Metrics:
    return Metrics(knows_model=bool, in_flight=int, ledger=writer)


def requests_in(home: Path) -> int:
    database = Database.open(None, home)
    try:
        return usage(database, project=EVERY_PROJECT, by="day").total.requests
    finally:
        database.close()


class Refusing:
    """What cannot be loaded."""

    asked = False

    def __call__(self) -> None:
        self.asked = True
        raise OSError(24, "Too many open files")


async def test_what_ends_before_the_books_are_open_is_stored_all_the_same(tmp_path: Path) -> None:
    database = Database.open(None, tmp_path)
    books = Books(lambda: database, tmp_path, PRICES)
    urgent = asyncio.Event()
    heard: list[Exchange] = []
    async with books.kept([heard.append], after=urgent.wait(), metrics=watching):
        books.accountant(answered("a"))
        await asyncio.sleep(0)
        assert (books.health(), heard) == ({"state": "starting"}, [])
        urgent.set()
        metrics = await books.metrics()
        books.accountant(answered("b"))
        assert await asyncio.to_thread(books.flush)
        assert books.public_health() == {"state": "ok", "pending": 0, "written": 2, "dropped": 0}
        assert b"gateway_cost_usd_total 0.004" in metrics.exposition()
    assert [exchange.id for exchange in heard] == ["a", "b"]
    database.close()
    assert requests_in(tmp_path) == 2


async def test_closing_stores_what_came_at_the_last_moment(tmp_path: Path) -> None:
    database = Database.open(None, tmp_path)
    books = Books(lambda: database, tmp_path, PRICES)
    async with books.kept([], after=asyncio.sleep(0), metrics=watching):
        books.accountant(answered("a"))
    database.close()
    assert requests_in(tmp_path) == 1


async def test_closing_waits_for_nothing_that_is_more_urgent_than_opening(tmp_path: Path) -> None:
    database = Database.open(None, tmp_path)
    books = Books(lambda: database, tmp_path, PRICES)
    async with books.kept([], after=asyncio.Event().wait(), metrics=watching):
        books.accountant(answered("a"))
    database.close()
    assert requests_in(tmp_path) == 1


async def test_books_that_cannot_be_opened_are_reported_and_requests_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Database:
        raise RuntimeError("no driver")

    books = Books(broken, tmp_path, PRICES)
    heard: list[Exchange] = []
    async with books.kept([heard.append], after=asyncio.sleep(0), metrics=watching):
        books.accountant(answered("a"))
        with pytest.raises(GatewayError, match="the log says why"):
            await books.metrics()
        books.accountant(answered("b"))
        assert books.health() == {"state": "failed", "error": "no driver"}
    assert [exchange.id for exchange in heard] == ["a", "b"]
    assert "nothing is accounted for" in caplog.text


async def test_a_system_that_refuses_for_a_moment_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.accounts.bookkeeping.PAUSES", (0.0, 0.0, 0.0))
    database = Database.open(None, tmp_path)
    refusals = [OSError(24, "Too many open files")] * 2

    def refusing() -> Database:
        if refusals:
            raise refusals.pop()
        return database

    books = Books(refusing, tmp_path, PRICES)
    monkeypatch.setattr(books._estimator, "load", refusing_once := Refusing())
    async with books.kept([], after=asyncio.sleep(0), metrics=watching):
        books.accountant(answered("a"))
        await books.metrics()
    assert refusing_once.asked
    database.close()
    assert requests_in(tmp_path) == 1
