"""What stays where it is when the settings change under a running sidecar: what its owner turned on, what a dashboard
shows, and since when it runs.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from sidecar.config import Settings
from sidecar.exchange import Json
from sidecar.feed.feed import Feed
from sidecar.feed.kept import KeptExchanges
from sidecar.feed.switches import Switches
from sidecar.gateway import Gateway
from sidecar.home import Home
from sidecar.limits.windows import Minutes
from sidecar.log_format import speak_at
from sidecar.recording import Recorder

Asked = Callable[[], Awaitable[Json]]


@dataclass(slots=True)
class House:
    recorder: Recorder
    switches: Switches
    kept: KeptExchanges
    feed: Feed
    minutes: Minutes = field(default_factory=Minutes)
    instance: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.monotonic)
    reload: Asked | None = None
    """What `/admin/reload` does; None where this sidecar cannot."""
    restart: Asked | None = None
    """The same for `/admin/restart`."""
    _gateways: list[Gateway] = field(default_factory=list)
    _earlier: int = 0
    _keep_bodies: int = -1
    """As the settings have it."""

    @classmethod
    def of(cls, settings: Settings, home: Home) -> Self:
        switches = Switches(keep_bodies=settings.keep_bodies)
        kept = KeptExchanges(switches)
        return cls(Recorder(home), switches, kept, Feed(kept))

    def furnish(self, settings: Settings) -> None:
        """Take what it holds from settings that are new. What a dashboard turned stays where they did not change."""
        speak_at(settings.log_level)
        if settings.keep_bodies != self._keep_bodies:
            self._keep_bodies = self.switches.keep_bodies = settings.keep_bodies

    def move_in(self, gateway: Gateway) -> None:
        self._gateways.append(gateway)

    def move_out(self, gateway: Gateway) -> None:
        self._gateways.remove(gateway)
        self._earlier += gateway.requests

    @property
    def requests(self) -> int:
        """Generations and token counts taken so far."""
        return self._earlier + sum(gateway.requests for gateway in self._gateways)

    @property
    def in_flight(self) -> int:
        """Those that go on under earlier settings included."""
        return sum(gateway.in_flight for gateway in self._gateways)
