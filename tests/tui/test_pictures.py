"""What the dashboard looks like, compared with pictures that somebody has looked at. `pytest --snapshot-update` takes
them anew."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from textual.pilot import Pilot

from tests.support.dashboards import CONNECT, settled, until
from tests.support.told_sidecar import KEY, NOON, VERSION, ToldSidecar
from tui.app import Dashboard, Ending

SMALL, USUAL, LARGE = (80, 24), (120, 40), (200, 60)
DARK, LIGHT = "cgw-dark", "cgw-light"

Compare = Callable[..., bool]


@pytest.fixture
def sidecar(monkeypatch: pytest.MonkeyPatch) -> Iterator[ToldSidecar]:
    """On a loop of its own: a picture is taken by one that ends."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr("tui.views.files.time.time", lambda: NOON + 60)
    loop, told = asyncio.new_event_loop(), ToldSidecar()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(told.start(), loop).result(30)
    yield told
    asyncio.run_coroutine_threadsafe(told.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    monkeypatch.undo()
    time.tzset()


def looks_the_same(compare: Compare, sidecar: ToldSidecar, *keys: str, size: tuple[int, int], theme: str) -> bool:
    app = Dashboard(sidecar.url, KEY, CONNECT, version=VERSION)
    app.theme = theme

    async def come(pilot: Pilot[Ending]) -> None:
        await until(pilot, lambda: len(app.log_of_requests) == len(sidecar.rows) and app.state is not None)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        await settled(pilot)

    return compare(app, terminal_size=size, run_before=come)


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", [SMALL, USUAL, LARGE], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("keys", [("1",), ("2",)], ids=["overview", "requests"])
def test_the_first_two_views(
    snap_compare: Compare, sidecar: ToldSidecar, keys: tuple[str, ...], size: tuple[int, int], theme: str
) -> None:
    assert looks_the_same(snap_compare, sidecar, *keys, size=size, theme=theme)


@pytest.mark.parametrize(
    ("keys", "size", "theme"),
    [
        (("2", "up", "enter"), SMALL, DARK),
        (("2", "up", "enter", "2"), USUAL, DARK),
        (("3", "enter"), USUAL, DARK),
        (("3",), USUAL, LIGHT),
        (("5",), USUAL, DARK),
        (("question_mark",), USUAL, DARK),
        (("2",), USUAL, "cgw-no-colour"),
        (("1",), USUAL, "cgw-high-contrast"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) and isinstance(value[0], str) else None,
)
def test_everything_else(
    snap_compare: Compare, sidecar: ToldSidecar, keys: tuple[str, ...], size: tuple[int, int], theme: str
) -> None:
    assert looks_the_same(snap_compare, sidecar, *keys, size=size, theme=theme)
