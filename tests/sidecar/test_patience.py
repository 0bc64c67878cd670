"""A wait ends in time, and what need not wait is not disturbed."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.patience import within


async def answered(answer: str, after: float | None = None, *, times: int = 1) -> str:
    if after is not None:
        for _ in range(times):
            await asyncio.sleep(after)
    return answer


async def test_what_is_there_already_is_given_without_a_turn_of_the_loop() -> None:
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    assert await within(60, answered("now")) == "now"
    assert turns == []


@pytest.mark.parametrize("times", [1, 3])
async def test_what_comes_in_time_is_given(times: int) -> None:
    assert await within(60, answered("later", 0, times=times)) == "later"
    assert await within(60, answered("later", 0.001, times=times)) == "later"


async def test_what_comes_too_late_is_told_to_stop() -> None:
    stopped: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append("work")
            raise

    with pytest.raises(TimeoutError):
        await within(0.001, work())
    assert stopped == ["work"]


@pytest.mark.parametrize("after", [None, 0])
async def test_errors_pass_through(after: float | None) -> None:
    async def work() -> None:
        await answered("", after)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await within(60, work())


async def test_a_cancellation_from_outside_reaches_the_work_and_passes_on() -> None:
    heard: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            heard.append("work")

    task = asyncio.create_task(within(60, work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["work"]


async def test_work_may_go_on_after_an_error_that_it_expected() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        try:
            await future
        except LookupError:
            return await answered("went on", 0)
        return "no"

    asyncio.get_running_loop().call_soon(future.set_exception, LookupError())
    assert await within(60, work()) == "went on"
