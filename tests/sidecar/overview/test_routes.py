"""Sums are computed once for all dashboards that ask for them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import orjson
import pytest
from starlette.requests import Request

from sidecar.errors import GatewayError
from sidecar.overview.routes import OverviewRoutes


class Summed(OverviewRoutes):
    """Its ledger takes as long as `slow` is not set."""

    def __init__(self) -> None:
        none = cast("Any", None)
        super().__init__(lambda _: None, none, settings=none, directory=none, budgets=list, has_body=lambda _: False)
        self.slow = threading.Event()
        self.times = 0
        self.broken = False

    def _overview(self, asked: str) -> dict[str, Any]:
        self.slow.wait(30)
        self.times += 1
        if self.broken:
            raise GatewayError("api_error", "The ledger is gone.", status=503)
        return {"range": asked, "times": self.times}

    async def told(self, asked: str = "1h") -> Any:
        scope = {"type": "http", "method": "GET", "headers": [], "query_string": f"range={asked}".encode()}
        return orjson.loads((await self.overview(Request(scope))).body)


async def test_several_dashboards_at_once_have_the_sums_computed_once() -> None:
    routes = Summed()
    asking = [asyncio.create_task(routes.told()) for _ in range(5)]
    other = asyncio.create_task(routes.told("6h"))
    await asyncio.sleep(0)
    asking[0].cancel()
    routes.slow.set()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(told[0], asyncio.CancelledError)
    assert told[1] == told[2] == told[3] == told[4] == await routes.told()
    assert (await other)["range"] == "6h"
    assert routes.times == 2


async def test_sums_that_failed_are_asked_for_anew() -> None:
    routes = Summed()
    routes.slow.set()
    routes.broken = True
    for _ in range(2):
        with pytest.raises(GatewayError):
            await routes.told()
    routes.broken = False
    assert (await routes.told())["times"] == 3
