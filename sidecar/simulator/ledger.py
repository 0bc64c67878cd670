"""What the simulator received and what it would have billed, one row a request, in exact decimal micro-dollars."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from sidecar.simulator.caching import Reading
from sidecar.simulator.models import Model
from sidecar.simulator.server_tools import SEARCH_PRICE

Moment = Literal["before the first byte", "in mid-stream"]


@dataclass(frozen=True, slots=True)
class Row:
    """One request. Counters are tokens, `cost` is micro-dollars, `time` is the simulator's own clock."""

    number: int
    """From 1, in order of arrival."""
    time: datetime
    path: str
    body: bytes
    """Exactly as received."""
    headers: Mapping[str, str]
    """Lower-case names, credentials included: these are simulated ones."""
    request_id: str
    query: str = ""
    """As the client wrote it."""
    model: str = ""
    stream: bool = False
    status: int = 0
    """0 until the answer has ended."""
    error: str | None = None
    """Anthropic's error type, also of an `error` event in a stream."""
    error_message: str | None = None
    message_id: str | None = None
    stop_reason: str | None = None
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    web_searches: int = 0
    cost: Decimal = Decimal(0)
    events_sent: int = 0
    complete: bool = False
    """True once the whole answer has been sent."""
    cancelled: Moment | None = None
    """When the client went away, if it did before the end."""
    ended: bool = False

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens

    def as_json(self) -> dict[str, Any]:
        """For other processes. The body is text; bytes that are not UTF-8 are replaced."""
        names = (name for name in self.__slots__ if name not in ("body", "headers", "time", "cost"))
        row = {name: getattr(self, name) for name in names}
        return row | {
            "time": self.time.isoformat(),
            "cost_micro_usd": str(self.cost),
            "headers": dict(self.headers),
            "body": self.body.decode("utf-8", "replace"),
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over every row ever written, dropped ones included."""

    requests: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)

    def plus(self, row: Row) -> Totals:
        return Totals(
            self.requests + 1,
            self.input_tokens + row.input_tokens,
            self.cache_read_tokens + row.cache_read_tokens,
            self.cache_write_5m_tokens + row.cache_write_5m_tokens,
            self.cache_write_1h_tokens + row.cache_write_1h_tokens,
            self.output_tokens + row.output_tokens,
            self.cost + row.cost,
        )


@dataclass(slots=True)
class _Kept:
    rows: deque[Row] = field(default_factory=deque)
    size: int = 0


class Ledger:
    """The rows, newest last, bounded in number and in bytes of bodies. Safe to use from any thread."""

    def __init__(self, *, keep: int = 10_000, keep_bytes: int = 256 * 1024 * 1024) -> None:
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._changed = threading.Condition()
        self._kept = _Kept()
        self._count = 0
        self._totals = Totals()

    @property
    def rows(self) -> list[Row]:
        """A snapshot of the kept rows, those still being answered included."""
        with self._changed:
            return list(self._kept.rows)

    @property
    def messages(self) -> list[Row]:
        """The rows of `POST /v1/messages` alone."""
        return [row for row in self.rows if row.path == "/v1/messages"]

    @property
    def totals(self) -> Totals:
        with self._changed:
            return self._totals

    def open(
        self, *, time: float, path: str, body: bytes, headers: Mapping[str, str], request_id: str, query: str = ""
    ) -> Row:
        """A request has arrived; `time` is seconds since the epoch."""
        with self._changed:
            self._count += 1
            row = Row(self._count, datetime.fromtimestamp(time, UTC), path, body, headers, request_id, query)
            self._kept.rows.append(row)
            self._kept.size += len(body)
            while len(self._kept.rows) > self._keep or (
                self._kept.size > self._keep_bytes and len(self._kept.rows) > 1
            ):
                self._kept.size -= len(self._kept.rows.popleft().body)
            self._changed.notify_all()
            return row

    def close(self, row: Row, **ending: Any) -> Row:
        """The answer to a request has ended; `ending` are the fields of the row that are known now."""
        ended = replace(row, ended=True, **ending)
        with self._changed:
            self._totals = self._totals.plus(ended)
            for index in range(len(self._kept.rows) - 1, -1, -1):
                if self._kept.rows[index].number == row.number:
                    self._kept.rows[index] = ended
                    break
            self._changed.notify_all()
        return ended

    def clear(self) -> None:
        """Forget every row and start the sums anew; numbers go on."""
        with self._changed:
            self._kept = _Kept()
            self._totals = Totals()

    def wait(self, count: int, *, timeout: float = 60.0, path: str = "/v1/messages") -> list[Row]:
        """The rows of `path` once at least `count` of them have ended. Raises TimeoutError after `timeout` seconds."""

        def ended() -> list[Row]:
            return [row for row in self._kept.rows if row.ended and row.path == path]

        with self._changed:
            if not self._changed.wait_for(lambda: len(ended()) >= count, timeout):
                raise TimeoutError(f"{len(ended())} of {count} requests to {path} ended within {timeout} s")
            return ended()


def bill(
    model: Model, reading: Reading, output_tokens: int, *, searches: int = 0, speed: str | None, geo: str | None
) -> Decimal:
    """Micro-dollars for one request."""
    price = model.price_of(prompt_tokens=reading.total, speed=speed or "standard", geo=geo)
    return (
        reading.input * price.input
        + reading.read * price.read
        + reading.write_5m * price.write_5m
        + reading.write_1h * price.write_1h
        + output_tokens * price.output
        + searches * SEARCH_PRICE
    )
