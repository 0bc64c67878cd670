from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from sidecar.breaker import Breakers, BreakerState, Trips, is_failure
from sidecar.errors import GatewayError

MODEL = "claude-sonnet-5-5"
OVERLOADED = GatewayError("overloaded_error", "Overloaded", upstream=True)
SOON = Trips(percent=50, calls=4, seconds=30, open_seconds=600)

Later = Callable[[float], None]

pytestmark = pytest.mark.usefixtures("later")


async def request(breakers: Breakers, error: BaseException | None = None, *, begins: bool = False) -> None:
    """One request that ends with `error`; with `begins` after Claude had begun to answer."""
    try:
        with breakers.passage(MODEL) as passage:
            if begins:
                passage.answered()
            if error is not None:
                raise error
    except (GatewayError, asyncio.CancelledError) as raised:
        if raised is not error:
            raise


def state(breakers: Breakers) -> str:
    [told] = breakers.states()
    return told.state


async def opened() -> Breakers:
    breakers = Breakers(SOON)
    for _ in range(SOON.calls):
        await request(breakers, OVERLOADED)
    return breakers


async def test_it_opens_at_half_of_enough_calls_and_says_when_to_come_back() -> None:
    breakers = Breakers(Trips(calls=4, open_seconds=30))
    for error in (None, None, OVERLOADED):
        await request(breakers, error)
    assert state(breakers) == "closed"
    await request(breakers, OVERLOADED)
    with pytest.raises(GatewayError, match="keeps failing with claude-sonnet-5-5") as refusal:
        await request(breakers)
    assert (refusal.value.status, refusal.value.code) == (503, "circuit_open")
    assert 1 <= (refusal.value.retry_after or 0) <= 30
    assert breakers.refuses(MODEL)
    assert breakers.worst() == 2
    assert list(breakers.states()) == [BreakerState(MODEL, "open", 4, 2)]


async def test_one_model_that_fails_stops_no_other() -> None:
    breakers = await opened()
    with breakers.passage("claude-haiku-5-5"):
        pass
    assert not breakers.refuses("claude-haiku-5-5")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429])
async def test_what_claude_refuses_never_counts(status: int) -> None:
    breakers = Breakers(SOON)
    for _ in range(10):
        await request(breakers, GatewayError("api_error", "no", status=status, upstream=True))
    assert list(breakers.states()) == [BreakerState(MODEL, "closed", 0, 0)]


async def test_the_gateways_own_errors_and_clients_that_leave_never_count() -> None:
    breakers = Breakers(SOON)
    for _ in range(5):
        await request(breakers, GatewayError("api_error", "a bug of ours"))
        await request(breakers, asyncio.CancelledError())
    assert list(breakers.states()) == [BreakerState(MODEL, "closed", 0, 0)]


async def test_answers_that_break_off_after_their_beginning_count() -> None:
    breakers = Breakers(SOON)
    for _ in range(SOON.calls):
        await request(breakers, OVERLOADED, begins=True)
    assert list(breakers.states()) == [BreakerState(MODEL, "open", SOON.calls, SOON.calls)]


async def test_one_answer_in_four_that_is_good_does_not_hide_the_three_that_break_off() -> None:
    breakers = Breakers(Trips(percent=60, calls=8))
    for _ in range(2):
        await request(breakers, begins=True)
        for _ in range(3):
            await request(breakers, OVERLOADED, begins=True)
    assert state(breakers) == "open"


async def test_a_client_that_leaves_an_answer_half_way_has_seen_claude_answer() -> None:
    breakers = Breakers(SOON)
    await request(breakers, asyncio.CancelledError(), begins=True)
    assert list(breakers.states()) == [BreakerState(MODEL, "closed", 1, 0)]


async def test_what_was_asked_before_it_opened_decides_nothing_afterwards(later: Later) -> None:
    breakers = Breakers(SOON)
    ends = asyncio.Event()

    async def early() -> None:
        with breakers.passage(MODEL):
            await ends.wait()

    asked_before = asyncio.create_task(early())
    await asyncio.sleep(0)
    for _ in range(SOON.calls):
        await request(breakers, OVERLOADED)
    later(600)
    with breakers.passage(MODEL):
        ends.set()
        await asked_before
        assert state(breakers) == "half_open"
        assert breakers.refuses(MODEL)


async def test_it_refuses_no_longer_when_a_probe_is_due_so_that_a_fallback_does_not_answer_for_ever(
    later: Later,
) -> None:
    breakers = await opened()
    assert breakers.refuses(MODEL)
    later(600)
    assert not breakers.refuses(MODEL)
    await request(breakers)
    assert state(breakers) == "closed"


async def test_after_a_while_one_probe_decides_and_the_others_wait_outside(later: Later) -> None:
    breakers = await opened()
    later(600)
    with breakers.passage(MODEL) as probe:
        assert breakers.refuses(MODEL)
        with pytest.raises(GatewayError, match="keeps failing"):
            await request(breakers)
        probe.answered()
        assert state(breakers) == "closed"  # long before its answer ends
        await request(breakers)
    assert not breakers.refuses(MODEL)


@pytest.mark.parametrize("error", [OVERLOADED])
async def test_a_probe_that_fails_closes_the_way_again(error: GatewayError, later: Later) -> None:
    breakers = await opened()
    later(600)
    await request(breakers, error)
    assert state(breakers) == "open"


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), GatewayError("rate_limit_error", "slow down", upstream=True)]
)
async def test_a_probe_without_a_verdict_leaves_its_place_to_the_next(error: BaseException, later: Later) -> None:
    breakers = await opened()
    later(600)
    await request(breakers, error)
    assert not breakers.refuses(MODEL)
    await request(breakers)
    assert state(breakers) == "closed"


async def test_switched_off_it_never_refuses() -> None:
    breakers = Breakers(None)
    for _ in range(50):
        await request(breakers, OVERLOADED)
    assert not breakers.refuses(MODEL)
    assert breakers.worst() == 0


def test_only_claudes_own_trouble_is_a_failure() -> None:
    assert is_failure(OVERLOADED)
    assert not is_failure(GatewayError("rate_limit_error", "slow down", upstream=True))
    assert not is_failure(GatewayError("api_error", "a bug of ours"))
