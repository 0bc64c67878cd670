"""What `Persistence` does around an attempt; how often and how long is told in the tests of retries and the breaker."""

from __future__ import annotations

import asyncio

import pytest

from sidecar import retries
from sidecar.breaker import Breakers, Trips
from sidecar.call import Call
from sidecar.errors import GatewayError
from sidecar.exchange import Usage
from sidecar.persistence import Persistence
from tests.support.events import text_delta
from tests.support.exchanges import an_exchange

OVERLOADED = GatewayError("overloaded_error", "Overloaded", upstream=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.0)


async def test_counting_tokens_trips_no_breaker() -> None:
    persistence = Persistence(Breakers(Trips(calls=1)), retry=False)
    exchange = an_exchange()
    exchange.kind = "count_tokens"

    async def fails() -> None:
        raise OVERLOADED

    for _ in range(5):
        with pytest.raises(GatewayError, match="Overloaded"):
            await persistence.ask(fails, exchange, Call(exchange))
    assert list(persistence.breakers.states()) == []


@pytest.mark.parametrize("begins", [True, False])
async def test_the_breaker_hears_of_an_answer_once_it_begins(begins: bool) -> None:
    persistence, exchange = Persistence(Breakers(Trips(calls=1)), retry=False), an_exchange()
    call = Call(exchange)

    async def is_left() -> None:
        if begins:
            await call.write([text_delta("hi")])
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await persistence.ask(is_left, exchange, call)
    [counted] = persistence.breakers.states()
    assert (counted.calls, counted.failures) == (int(begins), 0)


async def test_what_was_heard_of_a_failed_attempt_is_forgotten_but_not_what_it_cost() -> None:
    persistence = Persistence(Breakers(None), retry=True)
    exchange = an_exchange()

    async def fails_once() -> None:
        if not exchange.retries:
            exchange.usage = Usage(input_tokens=10)
            exchange.message_id = "msg_lost"
            exchange.upstream_headers = {"request-id": "lost"}
            raise OVERLOADED
        assert exchange.message_id is None
        assert exchange.upstream_headers == {}
        exchange.usage = Usage(input_tokens=11)

    await persistence.ask(fails_once, exchange, Call(exchange))
    assert exchange.usage.input_tokens == 11
    assert exchange.billed.input_tokens == 21
