"""What the feed says of requests."""

from __future__ import annotations

import asyncio

from sidecar.feed.feed import Feed
from sidecar.feed.kept import KeptExchanges
from sidecar.feed.switches import Switches
from tests.support.exchanges import an_exchange


def test_which_requests_run_is_told_counts_of_tokens_too() -> None:
    feed = Feed(KeptExchanges(Switches(keep_bodies=0)))
    asking, counting = an_exchange(), an_exchange(id="req_2", kind="count_tokens")
    for exchange in (asking, counting):
        feed.begun(exchange)
    assert feed.told_state()["running"] == [asking.id, counting.id]
    feed.ended(counting)
    assert feed.told_state()["running"] == [asking.id]


async def test_who_asks_for_an_exchange_that_is_being_settled_finds_it_at_its_end() -> None:
    kept = KeptExchanges(Switches(keep_bodies=1))
    feed, asked = Feed(kept), an_exchange()
    feed.begun(asked)
    waits = asyncio.create_task(feed.come_to_its_end(asked.id))
    await asyncio.sleep(0)
    assert not waits.done()
    feed.ended(asked)
    await waits
    assert asked.id in kept


async def test_nobody_waits_long_for_an_exchange_that_goes_on_nor_at_all_for_an_unknown_one() -> None:
    feed, asked = Feed(KeptExchanges(Switches(keep_bodies=1))), an_exchange()
    feed.begun(asked)
    await feed.come_to_its_end(asked.id)
    await feed.come_to_its_end("req_of_nobody")
