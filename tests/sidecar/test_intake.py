"""How long a body may take on its way here."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from sidecar import intake
from sidecar.errors import GatewayError


class Clock:
    """The seconds that it says go by with what comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(intake, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def dripping(clock: Clock, *, pieces: int, size: int, every: float) -> Request:
    """So many pieces of so many bytes, one each `every` seconds."""
    came = 0

    async def receive() -> Message:
        nonlocal came
        came += 1
        clock.now += every
        return {"type": "http.request", "body": b"x" * size, "more_body": came < pieces}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


async def test_a_body_that_drips_is_given_up_and_told_how_fast_it_has_to_come(clock: Clock) -> None:
    begun = clock.now
    with pytest.raises(GatewayError) as refused:
        await intake.read_body(dripping(clock, pieces=10_000, size=1, every=59), 100_000)
    assert refused.value.status == 408
    assert "1,000 a second" in refused.value.message
    assert "MIN_BODY_RATE" in refused.value.message
    assert clock.now - begun < 200


async def test_a_large_body_on_a_slow_line_has_the_time_that_its_size_takes(clock: Clock) -> None:
    slow = dripping(clock, pieces=400, size=15_000, every=10)
    assert len(await intake.read_body(slow, 10_000_000)) == 6_000_000


async def test_a_small_body_may_take_its_first_minute(clock: Clock) -> None:
    assert await intake.read_body(dripping(clock, pieces=6, size=1, every=10), 100) == b"x" * 6


async def test_without_a_least_rate_any_will_do(clock: Clock) -> None:
    assert len(await intake.read_body(dripping(clock, pieces=50, size=1, every=59), 100, 0)) == 50


async def test_a_body_that_falls_silent_is_given_up_when_its_time_is_over(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BODY_SECONDS", 0.01)
    coming = iter([{"type": "http.request", "body": b"x" * 5, "more_body": True}])

    async def receive() -> Message:
        if (message := next(coming, None)) is not None:
            return message
        await asyncio.sleep(30)
        raise AssertionError

    with pytest.raises(GatewayError) as refused:
        await intake.read_body(Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive), 100)
    assert "Nothing of the request's body came" in refused.value.message
