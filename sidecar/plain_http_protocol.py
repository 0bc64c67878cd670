"""The bound of `http_protocol` for the parser that is always there. h11 bounds the size of a head by itself."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sidecar import http_heads


class BoundedH11(H11Protocol):
    """Refuses a head that does not end."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        self._look_for_head()

    def _look_for_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self._head_timer is None and self._head_is_due:
            self._head_timer = self.loop.call_later(http_heads.HEAD_SECONDS, self._too_slow)

    @property
    def _head_is_due(self) -> bool:
        """The first one, or one that has begun to come: between two requests a client may think."""
        return self.cycle is None or bool(self.conn.trailing_data[0])

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        """Nothing is being answered meanwhile: until then h11 waits with the next head."""
        if not self.transport.is_closing():
            self.transport.write(http_heads.refusal(http_heads.TOO_SLOW))
            self.transport.close()
