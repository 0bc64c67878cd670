"""Bounds for the head of a request where httptools parses it, a body in one piece, and answers as `http_answers` writes
them: uvicorn has none of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, Self

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sidecar import http_heads
from sidecar.http_answers import Answer

WAITING_BYTES: Final = 4 * 1024 * 1024
"""Of a body that nobody has read yet: then its client waits."""
WAITING_SECONDS: Final = 1.0
"""How long its reader hears nothing of what came of a body: whether it goes on, or is too large already."""


class BoundedHttp(HttpToolsProtocol):
    """Refuses a head that is too large, and one that does not end. Its application hears of a body once it is whole:
    uvicorn would stop the client and wake the application for each 64 KB, and copy them three times more."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._telling: asyncio.TimerHandle | None = None
        """When the application hears of a body that has not ended by then."""
        self._head_bytes = 0
        self._in_head = False
        """Whether a head has begun that is not complete."""
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:  # most come whole
            self._wait_for_head()
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > http_heads.HEAD_BYTES:
                self._refuse(http_heads.TOO_LARGE)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()
        self.cycle.body = _Pieces()  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > WAITING_BYTES:
            self.flow.pause_reading()
            cycle.message_event.set()
        elif self._telling is None:  # one that has ended by then leaves it to the next: a timer costs more than a look
            self._telling = self.loop.call_later(WAITING_SECONDS, self._tell)

    def _tell(self) -> None:
        self._telling = None
        if self.cycle.more_body and len(self.cycle.body):
            self.cycle.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        def answered(scope: Scope, receive: Receive, _: Send) -> Awaitable[None]:
            return app(scope, receive, Answer(cycle).send)

        super()._start_asgi_task(cycle, answered)  # type: ignore[arg-type]

    def send_400_response(self, msg: str) -> None:
        if self._is_answering:
            self.transport.close()
        else:
            super().send_400_response(msg)

    @property
    def _is_answering(self) -> bool:
        """Whether what is written now would stand in the middle of an answer to an earlier request."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(http_heads.HEAD_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        self._head_timer = None
        if self._is_answering:  # nobody reads the next head before that
            self._wait_for_head()
        else:
            self._refuse(http_heads.TOO_SLOW)

    def _head_came(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: bytes) -> None:
        self._head_came()
        if not self.transport.is_closing():
            if not self._is_answering:
                self.transport.write(http_heads.refusal(status))
            self.transport.close()


class _Pieces:
    """What came of a body, for uvicorn to make bytes of: they are put together once."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def __iadd__(self, piece: bytes) -> Self:
        self._pieces.append(piece)
        self._size += len(piece)
        return self

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
