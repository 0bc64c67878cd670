"""What the gateway asks Claude by itself is on its own account, and never anybody's failure."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sidecar.accounts.prices import Prices
from sidecar.exchange import Exchange, Json
from sidecar.own_requests import OwnRequests
from sidecar.simulator.server import RunningSimulator
from sidecar.upstream import Upstream
from tests.support.exchanges import SONNET, an_exchange

REQUEST: Json = {
    "model": SONNET,
    "max_tokens": 0,
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "x" * 27_000, "cache_control": {"type": "ephemeral"}}]}
    ],
}


@pytest.fixture
def settled() -> list[Exchange]:
    return []


@pytest.fixture
async def asking(settled: list[Exchange]) -> AsyncIterator[OwnRequests]:
    with RunningSimulator() as claude:
        async with Upstream(base_url=claude.url, api_key=claude.api_key) as upstream:
            yield OwnRequests(upstream, Prices(), settled.append)


async def test_its_cost_is_the_spending_of_the_layer_that_asked(asking: OwnRequests, settled: list[Exchange]) -> None:
    behind = an_exchange(project="web", client="cline", conversation="c")
    usage = await asking.ask(behind, REQUEST, "keep_warm")
    assert usage is not None
    assert usage.cache_write_5m_tokens >= 10_000
    [own] = settled
    assert (own.project, own.client, own.conversation, own.model) == ("web", "cline", "c", SONNET)
    assert own.id != behind.id
    assert own.account is not None
    assert own.account.bill == usage.cache_write_5m_tokens * 2_500_000
    assert own.account.savings == (("keep_warm", -own.account.bill),)


async def test_a_refusal_is_nobodys_failure_and_costs_nothing(asking: OwnRequests, settled: list[Exchange]) -> None:
    assert await asking.ask(an_exchange(), REQUEST | {"stream": True}, "keep_warm") is None
    assert settled == []
