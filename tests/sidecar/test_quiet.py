"""Memory is given back after long bodies, in a quiet moment, and else never."""

from __future__ import annotations

import asyncio

import pytest

from sidecar import quiet
from sidecar.quiet import LONG, GivesBack
from tests.support.exchanges import an_exchange

SHORT_BODY, LONG_BODY = an_exchange(), an_exchange(client_body=b" " * LONG)


class Sidecar:
    """Counts what is under way, and how often memory was given back."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.given_back = 0
        self.gave_back = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def give_back(self) -> None:
        self.given_back += 1
        self._loop.call_soon_threadsafe(self.gave_back.set)


@pytest.fixture
async def sidecar(monkeypatch: pytest.MonkeyPatch) -> Sidecar:
    monkeypatch.setattr(quiet, "QUIET_SECONDS", 0.001)
    return Sidecar()


async def some_time() -> None:
    await asyncio.sleep(0.02)


async def test_long_bodies_bring_it_about_once(sidecar: Sidecar) -> None:
    gives_back = GivesBack(lambda: sidecar.in_flight, sidecar.give_back)
    for _ in range(3):
        gives_back(LONG_BODY)
    await sidecar.gave_back.wait()
    await some_time()
    assert sidecar.given_back == 1
    sidecar.gave_back.clear()
    gives_back(LONG_BODY)
    await sidecar.gave_back.wait()
    assert sidecar.given_back == 2


async def test_short_ones_never_do(sidecar: Sidecar) -> None:
    gives_back = GivesBack(lambda: sidecar.in_flight, sidecar.give_back)
    gives_back(SHORT_BODY)
    await some_time()
    assert sidecar.given_back == 0


async def test_it_waits_while_requests_are_under_way(sidecar: Sidecar) -> None:
    gives_back = GivesBack(lambda: sidecar.in_flight, sidecar.give_back)
    sidecar.in_flight = 1
    gives_back(LONG_BODY)
    await some_time()
    assert sidecar.given_back == 0
    sidecar.in_flight = 0
    await sidecar.gave_back.wait()
    assert sidecar.given_back == 1


async def test_nothing_comes_after_the_end(sidecar: Sidecar) -> None:
    gives_back = GivesBack(lambda: sidecar.in_flight, sidecar.give_back)
    gives_back(LONG_BODY)
    gives_back.close()
    await some_time()
    assert sidecar.given_back == 0


def test_the_c_library_is_asked_in_its_own_words() -> None:
    """Nothing is raised, whichever it is."""
    quiet.give_back()
