"""Long steps leave the event loop to others, and come to the same."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sidecar.errors import GatewayError, invalid_request
from sidecar.stretch import LONG, TOO_LONG, apart


def whereabouts(answer: str) -> tuple[str, int]:
    return answer, threading.get_ident()


async def test_a_long_step_waits_for_the_others_turn() -> None:
    turns: list[str] = []
    asyncio.get_running_loop().call_soon(turns.append, "another's")
    answer, thread = await apart(LONG + 1, whereabouts, "here")
    assert (answer, thread, turns) == ("here", threading.get_ident(), ["another's"])


async def test_one_that_is_too_long_leaves_the_loop() -> None:
    answer, thread = await apart(TOO_LONG + 1, whereabouts, "there")
    assert answer == "there"
    assert thread != threading.get_ident()


@pytest.mark.parametrize("size", [LONG + 1, TOO_LONG + 1])
async def test_what_is_wrong_with_it_is_raised(size: int) -> None:
    def refuse() -> None:
        raise invalid_request("not like this", param="messages[3]")

    with pytest.raises(GatewayError) as refused:
        await apart(size, refuse)
    assert refused.value.param == "messages[3]"
