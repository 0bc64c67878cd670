"""The dashboard's first screen: that the sidecar is up, and how to connect a tool to it.

Knows the sidecar only through `GET /health`, so it can attach to any running one.
"""

from __future__ import annotations

from typing import Any, ClassVar

import aiohttp
from textual import work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Footer, Header

from tui.widgets.connect import Connect
from tui.widgets.vitals import Vitals

POLL_SECONDS = 1.0
ANSWER_SECONDS = 5.0


class Dashboard(App[None]):
    """Shows the sidecar at `url` (without `/v1`); `connect` is the text for connecting a tool."""

    TITLE = "cgw"
    CSS_PATH = "cgw.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [("q", "quit", "Quit")]

    def __init__(self, url: str, connect: str) -> None:
        super().__init__()
        self._url = url
        self._connect = connect

    def compose(self) -> ComposeResult:
        yield Header()
        yield Vitals(self._url)
        yield Connect(self._connect)
        yield Footer()

    def on_mount(self) -> None:
        self.sub_title = self._url
        self.look()
        self.set_interval(POLL_SECONDS, self.look)

    @work
    async def look(self) -> None:
        """Ask the sidecar how it is."""
        vitals = self.query_one(Vitals)
        vitals.health = await _health(self._url)


async def _health(url: str) -> dict[str, Any] | None:
    """What the sidecar says of itself, or None when it does not answer."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(f"{url}/health") as told,
        ):
            health = await told.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return health if isinstance(health, dict) else None
