"""Who leads a call and who joins it, whatever becomes of the leader before it begins. The rest is in `end_to_end`."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from addons.coalesce import Coalesce
from sidecar.exchange import Exchange, Usage
from sidecar.services import Services
from tests.support.exchanges import an_exchange

KEY = "a1"


@pytest.fixture
def coalesce() -> Coalesce:
    return Coalesce(cast(Services, None))  # it asks for none


def asking(number: int, **fields: Any) -> Exchange:
    return an_exchange(**{"id": f"req_{number}", "reply_key": KEY} | fields)


async def quiet() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def never_ends() -> None:
    await asyncio.Event().wait()


async def test_a_joiner_waits_until_the_leader_knows_its_model(coalesce: Coalesce) -> None:
    leader, joiner = asking(1), asking(2)
    await coalesce.request(leader)
    joining = asyncio.create_task(coalesce.request(joiner))
    await quiet()
    assert not joining.done()
    leader.model, leader.route_reason = "claude-haiku-5-5", "short question"
    assert leader.call is not None
    leader.call.begin(never_ends())
    await joining
    assert (joiner.model, joiner.route_reason) == ("claude-haiku-5-5", "short question")
    assert not joiner.goes_upstream
    assert joiner.call is None
    assert joiner.joined is not None
    assert joiner.response_headers["x-gateway-coalesced"] == "req_1"
    assert str(joiner.decisions[0]) == "coalesce: shares the call of request req_1"
    leader.call.leave(joiner.joined)
    await quiet()


async def test_when_the_leader_is_gone_before_it_began_one_of_those_who_wait_leads(coalesce: Coalesce) -> None:
    leader, waiting = asking(1), [asking(number) for number in (2, 3, 4)]
    await coalesce.request(leader)
    tasks = [asyncio.create_task(coalesce.request(exchange)) for exchange in waiting]
    await quiet()
    assert leader.call is not None
    leader.call.abandon()
    await quiet()
    leads = [exchange for exchange, task in zip(waiting, tasks, strict=True) if task.done()]
    [new_leader] = leads
    assert new_leader.goes_upstream
    assert new_leader.call is not None
    new_leader.call.begin(never_ends())
    await asyncio.gather(*tasks)
    joined = [exchange.joined for exchange in waiting if exchange.joined is not None]
    assert [place.call for place in joined] == [new_leader.call] * 2
    for place in joined:
        new_leader.call.leave(place)
    await quiet()


async def test_who_gives_up_waiting_leaves_its_place(coalesce: Coalesce) -> None:
    leader, joiner = asking(1), asking(2)
    await coalesce.request(leader)
    joining = asyncio.create_task(coalesce.request(joiner))
    await quiet()
    joining.cancel()
    await quiet()
    assert leader.call is not None
    place = leader.call.join()
    leader.call.begin(never_ends())
    leader.call.leave(place)
    assert not leader.call.may_be_joined, "nobody is left at it"
    await quiet()


async def test_without_a_key_or_with_another_one_there_is_nothing_to_share(coalesce: Coalesce) -> None:
    await coalesce.request(asking(1))
    alone, other = asking(2, reply_key=None), asking(3, reply_key="b2")
    await coalesce.request(alone)
    await coalesce.request(other)
    assert alone.call is None
    assert other.call is not None
    assert alone.goes_upstream
    assert other.goes_upstream


async def test_who_wants_a_fresh_answer_leads_and_is_joined_from_then_on(coalesce: Coalesce) -> None:
    first, fresh, later = asking(1), asking(2, client_headers={"cache-control": "no-cache"}), asking(3)
    await coalesce.request(first)
    await coalesce.request(fresh)
    assert first.call is not None
    assert fresh.call is not None
    assert fresh.call is not first.call
    first.call.abandon()  # the end of the older call is not the end of the newer one
    place = fresh.call.join()
    fresh.call.begin(never_ends())
    await coalesce.request(later)
    assert later.joined is not None
    assert later.joined.call is fresh.call
    for reader in (place, later.joined):
        fresh.call.leave(reader)
    await quiet()


async def test_the_wait_for_another_s_call_is_not_the_gateway_s_own_time() -> None:
    exchange = asking(1, usage=Usage())
    timing = exchange.timing
    timing.received, timing.joined, timing.upstream_ended, timing.finished = 10.0, 10.25, 14.0, 14.25
    assert timing.overhead == 0.5
