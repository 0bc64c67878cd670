"""Requests and tokens a minute, counted here and in a Redis that comes and goes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar.errors import GatewayError
from sidecar.exchange import Usage
from sidecar.ledger.money import PICOS_PER_USD
from sidecar.limits import shared_windows
from sidecar.limits.budgets import Budgets
from sidecar.limits.limiter import Limiter
from sidecar.limits.shared_windows import SharedWindows
from sidecar.projects.project import Project
from tests.support.servers import RedisServer

P = Project(name="p")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


async def limiter(rpm: int | None = 60, *, clock: Clock | None = None, shared: SharedWindows | None = None) -> Limiter:
    return Limiter(await no_spending(), rpm=rpm, clock=clock or Clock(), shared=shared)


async def no_spending() -> Budgets:
    budgets = Budgets(lambda _: {}, flush=lambda: True, clock=lambda: NOON)
    await budgets.refresh()
    return budgets


async def refusal(counting: Limiter, project: Project = P) -> GatewayError:
    with pytest.raises(GatewayError) as refused:
        await counting.count(project)
    return refused.value


def told(counting: Limiter, project: Project = P, kind: str = "") -> tuple[str, ...]:
    headers = counting.headers(project)
    return tuple(headers[f"x-ratelimit-{name}{kind}"] for name in ("limit", "remaining", "reset"))


async def test_sixty_at_once_pass_and_the_next_is_told_when_to_come_back() -> None:
    clock = Clock()
    counting = await limiter(clock=clock)
    await asyncio.gather(*(counting.count(P) for _ in range(60)))
    clock.now += 18
    error = await refusal(counting)
    assert (error.status, error.kind, error.code) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert error.retry_after == pytest.approx(42, abs=0.1)
    assert "60 requests a minute" in error.message
    assert "cgw projects set p --rpm" in error.message
    clock.now += error.retry_after or 0
    await counting.count(P)


async def test_headers_say_what_is_left() -> None:
    clock = Clock()
    counting = await limiter(3, clock=clock)
    assert told(counting) == ("3", "3", "0")
    await counting.count(P)
    assert told(counting) == ("3", "2", "60")
    clock.now += 20.5
    await counting.count(P)
    assert told(counting) == ("3", "1", "40")


async def test_a_project_has_its_own_limit_or_none_or_the_gateways() -> None:
    counting = await limiter(2)
    for project, limit in ((P, "2"), (Project(name="q", rpm=5), "5")):
        assert told(counting, project)[0] == limit
    assert counting.headers(Project(name="r", rpm=0)) == {}


async def test_projects_do_not_share_a_minute() -> None:
    counting = await limiter(1)
    await counting.count(P)
    await counting.count(Project(name="q"))
    await refusal(counting)


async def test_without_rate_limits_only_budgets_hold() -> None:
    counting = await limiter(None)
    for _ in range(100):
        await counting.count(Project(name="p", rpm=1, tpm=1))
    assert counting.headers(P) == {}
    assert (await refusal(counting, Project(name="p", daily_budget=0))).code == "budget_exceeded"


async def test_tokens_count_once_the_answer_is_there_and_cached_ones_do_not() -> None:
    clock = Clock()
    counting, project = await limiter(clock=clock), Project(name="p", tpm=100)
    await counting.count(project)
    counting.settle(
        project, Usage(input_tokens=10, cache_read_tokens=10**6, cache_write_1h_tokens=20, output_tokens=30)
    )
    assert told(counting, project, "-tokens") == ("100", "40", "60")
    await counting.count(project)
    counting.settle(project, Usage(output_tokens=70))
    error = await refusal(counting, project)
    assert error.code == "rate_limit_exceeded"
    assert "100 tokens a minute" in error.message
    clock.now += error.retry_after or 0
    await counting.count(project)


async def test_a_request_refused_for_its_tokens_or_budget_is_not_counted() -> None:
    counting, project = await limiter(), Project(name="p", tpm=1)
    counting.settle(project, Usage(output_tokens=1))
    await refusal(counting, project)
    await refusal(counting, Project(name="p", daily_budget=0))
    assert told(counting)[1] == "60"


async def test_where_limit_and_budget_are_reached_the_limit_is_named() -> None:
    counting = await limiter(1)
    await counting.count(P)
    assert (await refusal(counting, Project(name="p", daily_budget=0))).code == "rate_limit_exceeded"


async def test_a_budget_warning_is_in_the_headers() -> None:
    budgets = await no_spending()
    counting = Limiter(budgets, rpm=None)
    project = Project(name="p", daily_budget=10**6, warn_percent=50)
    assert counting.headers(project) == {}
    budgets.spend("p", NOON, PICOS_PER_USD // 2)
    assert counting.headers(project) == {"x-gateway-budget-warning": "spent $0.50 of its daily budget of $1.00"}


@pytest.fixture
def redis(redis_url: str) -> Any:
    """A server of the test's own; `redis_url` skips where there is none."""
    del redis_url
    with RedisServer() as server:
        yield server


@asynccontextmanager
async def connected(url: str, *, up: bool = True) -> AsyncIterator[SharedWindows]:
    shared = SharedWindows(url)
    task = asyncio.create_task(shared.run())
    try:
        await until(lambda: shared.up if up else bool(shared.warning))
        yield shared
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def test_two_gateways_share_one_minute(redis: RedisServer) -> None:
    async with connected(redis.url) as here, connected(redis.url) as there:
        one, two = await limiter(10, shared=here), await limiter(10, shared=there)
        passed = await asyncio.gather(*(side.count(P) for side in [one, two] * 10), return_exceptions=True)
        assert sum(result is None for result in passed) == 10
        error = await refusal(one)
        assert 0 < (error.retry_after or 0) <= 60.1
        assert told(two)[:2] == ("10", "0")
        await two.count(Project(name="q"))


async def test_two_gateways_share_their_tokens(redis: RedisServer) -> None:
    project = Project(name="p", tpm=100)
    async with connected(redis.url) as here, connected(redis.url) as there:
        one, two = await limiter(shared=here), await limiter(shared=there)
        one.settle(project, Usage(output_tokens=100))
        await one.close()
        error = await refusal(two, project)
        assert "tokens" in error.message
        assert 0 < (error.retry_after or 0) <= 61.1


async def test_losing_redis_goes_on_with_what_was_counted_here_and_redis_comes_back_by_itself(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(redis.url) as shared:
        counting = await limiter(3, shared=shared)
        await counting.count(P)
        await counting.count(P)
        redis.stop()
        with caplog.at_level(logging.WARNING):
            await counting.count(P)
            assert not shared.up
            assert "counts its limits alone" in shared.warning
            await refusal(counting)
            redis.start()
            await until(lambda: shared.up)
        assert [record.message.split(" at ")[0] for record in caplog.records] == ["Redis"] * 2
        assert shared.warning == ""
        await counting.count(P)  # Redis begins anew, as it kept nothing


async def test_a_gateway_starts_without_redis_and_finds_it_later(redis: RedisServer) -> None:
    redis.stop()
    async with connected(redis.url, up=False) as shared:
        counting = await limiter(shared=shared)
        await counting.count(P)
        redis.start()
        await until(lambda: shared.up)
        await counting.count(P)
        assert told(counting)[1] == "58"


async def test_a_redis_that_hangs_is_given_up_after_a_moment(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(redis.url) as shared:
        counting = await limiter(shared=shared)
        await counting.count(P)
        monkeypatch.setattr(shared_windows, "ANSWER_SECONDS", 0.1)
        with socket.create_connection(("127.0.0.1", redis.port)) as client:
            client.sendall(b"CLIENT PAUSE 600000 ALL\r\n")
            client.recv(16)
            await counting.count(P)
            assert not shared.up
            await counting.count(P)


@pytest.mark.parametrize("url", ["localhost:6379", "http://h", "", "memory://"])
def test_a_url_that_is_no_redis_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL"):
        SharedWindows(url)
