"""A wait with an end, whose clock only runs where there is something to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, cast


async def within[Answer](seconds: float, work: Coroutine[Any, Any, Answer]) -> Answer:
    """What `work` returns. Raises TimeoutError where that takes longer.

    A body of a few kilobytes is there with its head: then there is neither a timer nor anything else but a call.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        return cast("Answer", done.value)
    async with asyncio.timeout(seconds):
        return cast("Answer", await _rest(work, waits_for))


@coroutine
def _rest(work: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """What is left of work that has begun to wait (PEP 380 has what `yield from` would do)."""
    while True:
        try:
            try:
                heard = yield waits_for
            except BaseException as error:  # noqa: BLE001 -- a cancellation above all: the work's to hear
                waits_for = work.throw(error)
            else:
                waits_for = work.send(heard)
        except StopIteration as done:
            return done.value
