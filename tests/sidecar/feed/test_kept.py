"""How much is kept of the newest exchanges."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.exchange import Exchange
from sidecar.feed.kept import KeptExchanges
from sidecar.feed.switches import Switches
from tests.support.exchanges import an_exchange


def answered(number: int, **fields: Any) -> Exchange:
    exchange = an_exchange(id=f"req_{number}")
    for name, value in fields.items():
        setattr(exchange, name, value)
    return exchange


LONG = {"content": [{"type": "text", "text": "x" * 10_000}]}


@pytest.mark.parametrize(
    "fields", [{"answer": LONG}, {"heard": b"x" * 10_000}, {"upstream_body": (b"x" * 9_999, b"x")}]
)
def test_all_that_is_kept_counts_against_the_bound(fields: dict[str, Any]) -> None:
    kept = KeptExchanges(Switches(keep_bodies=50), most_bytes=30_000)
    for number in range(4):
        assert kept.add(answered(number, **fields), {})
    assert len(kept) == 2
    assert 20_000 <= kept.size <= 30_000
    assert not KeptExchanges(Switches(keep_bodies=50), most_bytes=9_000).add(answered(9, **fields), {})


def test_an_answer_is_kept_once_and_as_it_came_where_it_cannot_be_written() -> None:
    kept = KeptExchanges(Switches(keep_bodies=50))
    kept.add(answered(1, answer=LONG, heard=b"x" * 10_000), {})
    assert kept.size < 11_000
    kept.add(answered(2, answer={"text": "\ud800"}, heard=b"as it came"), {})
    found = kept.get("req_2")
    assert found is not None
    assert (found.answer, found.heard) == (None, b"as it came")
