"""A dashboard under Textual's pilot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widgets import Static

from tests.support.told_sidecar import KEY, VERSION, ToldSidecar
from tui.app import Dashboard, Ending

GIVE_UP_SECONDS = 60.0
"""Only so that a hang ends."""
POLL_SECONDS = 0.03
CONNECT = 'export OPENAI_API_KEY="$(cat [x]/key)"'


@asynccontextmanager
async def watching(
    sidecar: ToldSidecar, *keys: str, size: tuple[int, int] = (120, 40), owns_sidecar: bool = False, rows: int = 1_000
) -> AsyncIterator[tuple[Dashboard, Pilot[Ending]]]:
    """Connected, and with these keys pressed. What it notifies of stays, so that a slow machine sees it too."""
    app = Dashboard(sidecar.url, KEY, CONNECT, version=VERSION, owns_sidecar=owns_sidecar, rows=rows)
    notify = app.notify
    app.notify = lambda message, **named: notify(message, **{**named, "timeout": GIVE_UP_SECONDS})  # type: ignore[method-assign]
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: len(app.log_of_requests) >= len(sidecar.rows) and app.state is not None)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        yield app, pilot


async def until(pilot: Pilot[Ending], holds: Callable[[], object]) -> None:
    """Wait for what is to come."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"it never came; the screen is\n{shown(pilot)}"
        await asyncio.sleep(POLL_SECONDS)


async def settled(pilot: Pilot[Ending]) -> None:
    """What was asked of the sidecar is there; the feed goes on."""
    app = pilot.app
    await pilot.pause()
    await until(pilot, lambda: not [one for one in app.workers if one.group != "feed" and one.is_running])
    await pilot.pause()


def shown(pilot: Pilot[Ending]) -> str:
    """The text on the screen."""
    screen = pilot.app.screen
    lines = screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in lines)


def said(pilot: Pilot[Ending], selector: str) -> str:
    """What one Static says."""
    content = pilot.app.screen.query_one(selector, Static).content
    return getattr(content, "plain", str(content))
