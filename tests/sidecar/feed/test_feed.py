"""What the feed says of requests."""

from __future__ import annotations

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
