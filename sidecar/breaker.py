"""The circuit breaker: when Claude keeps failing with a model, nobody waits for the next failure.

One breaker for each model. `interlock` keeps the window and the states; what counts as a failure is said here. A
request counts once, however often it was tried; what Claude refuses (400, 401, 403, 404, 429 and the like) and what
ends before Claude has answered counts as nothing at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

from interlock import CircuitBreaker, CircuitOpenError, Config, State
from interlock.window import WindowType

from sidecar.errors import GatewayError

log = logging.getLogger(__name__)

NEVER: Final = 1e9
"""Seconds: slowness trips nothing, since answers may take as long as they take."""

MOST_BREAKERS: Final = 64

CODE: Final = "circuit_open"

_GAUGE: Final = {"closed": 0, "half_open": 1, "open": 2}


@dataclass(frozen=True, slots=True)
class Trips:
    """When a breaker opens: this share of at least so many calls in so many seconds failed. It lets one request through
    to see how things are after `open_seconds`."""

    percent: float = 50.0
    calls: int = 20
    seconds: int = 30
    open_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class BreakerState:
    """`state` is `closed`, `half_open` or `open`; calls and failures are those of the window."""

    name: str
    state: str
    calls: int
    failures: int


class Passage:
    """One request's way past the breaker: what the block raises is counted. Use as a context manager; it raises
    GatewayError (503) where the breaker is open."""

    def __init__(self, breaker: CircuitBreaker | None, probed: set[str]) -> None:
        """`probed` has the names of the breakers that let a request through to see how things are."""
        self._breaker = breaker
        self._probed = probed
        self._is_probe = False
        self._answered = False
        self._settled = breaker is None

    def __enter__(self) -> Passage:
        if (breaker := self._breaker) is not None:
            try:
                breaker.__enter__()
            except CircuitOpenError as refusal:
                raise _is_open(breaker.name, refusal.retry_after) from refusal
            if breaker.state is State.HALF_OPEN:
                self._is_probe = True
                self._probed.add(breaker.name)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, GatewayError):
            self._failed(error)
        elif isinstance(error, asyncio.CancelledError) and self._answered:
            self._settle(None)  # the client went away: what Claude had begun to answer by then was no failure
        else:
            self._settle(error)

    def answered(self) -> None:
        """Claude answers. A probe is over with that: an answer may take minutes, and others wait for the verdict. All
        others count once, as they end."""
        self._answered = True
        if self._is_probe:
            self._settle(None)

    def _failed(self, error: GatewayError) -> None:
        if not self._settled:
            self._settle(error if is_failure(error) else asyncio.CancelledError())
        elif self._breaker is not None and is_failure(error):
            # A probe's answer that broke off after it had begun is a failure besides.
            with suppress(GatewayError, CircuitOpenError), self._breaker:
                raise error

    def _settle(self, error: BaseException | None) -> None:
        if self._settled or self._breaker is None:
            return
        self._settled = True
        if self._is_probe:
            self._probed.discard(self._breaker.name)
        self._breaker.__exit__(None if error is None else type(error), error, None)


class Breakers:
    """A breaker for each model that was asked for. Belongs to one event loop."""

    def __init__(self, trips: Trips | None) -> None:
        """None for no breakers at all."""
        self._config = _config(trips) if trips else None
        self._breakers: dict[str, CircuitBreaker] = {}
        self._probed: set[str] = set()
        self._opened: dict[str, float] = {}
        """When the breakers opened, by the monotonic clock."""

    def passage(self, model: str) -> Passage:
        """The block asks Claude, and what it raises is counted. Raises GatewayError (503) where the breaker is open."""
        return Passage(self._of(model), self._probed)

    def refuses(self, model: str) -> bool:
        """Whether a request would be refused now."""
        breaker = self._breakers.get(model)
        if breaker is None or self._config is None or breaker.state is State.CLOSED:
            return False
        if breaker.state is State.OPEN:  # also when the next request would be the probe
            return monotonic() - self._opened.get(model, 0.0) < self._config.wait_duration_in_open
        return model in self._probed

    def states(self) -> Iterator[BreakerState]:
        """Those that have seen a request."""
        for model, breaker in self._breakers.items():
            window = breaker.snapshot()
            yield BreakerState(model, str(breaker.state), window.total_calls, window.failed_calls)

    def worst(self) -> int:
        """For a gauge: 0 where all are closed, 1 where one is half open, 2 where one is open."""
        return max((_GAUGE[state.state] for state in self.states()), default=0)

    def _of(self, model: str) -> CircuitBreaker | None:
        if self._config is None:
            return None
        breaker = self._breakers.pop(model, None) or CircuitBreaker(
            name=model, config=self._config, listener=_Told(self._opened)
        )
        self._breakers[model] = breaker
        if len(self._breakers) > MOST_BREAKERS:
            oldest = next(iter(self._breakers))
            del self._breakers[oldest]
            self._opened.pop(oldest, None)
        return breaker


def is_failure(error: GatewayError) -> bool:
    """Whether it shows that Claude, or the way to it, does not work."""
    return error.upstream and error.status >= 500


class _Told:
    """Says in the log what became of a breaker, and notes when it opened."""

    def __init__(self, opened: dict[str, float]) -> None:
        self._opened = opened

    def on_state_change(self, *, name: str, old: State, new: State) -> None:
        if new is State.OPEN:
            self._opened[name] = monotonic()
            log.warning("Claude keeps failing with %s: the circuit breaker is open", name)
        elif new is State.CLOSED:
            log.info("Claude answers with %s again: the circuit breaker is closed", name)

    def on_call(self, **_: object) -> None:
        pass

    def on_rejected(self, **_: object) -> None:
        pass

    def on_reset(self, **_: object) -> None:
        pass


def _config(trips: Trips) -> Config:
    return Config(
        failure_rate_threshold=trips.percent / 100,
        minimum_number_of_calls=trips.calls,
        window_type=WindowType.TIME_BASED,
        window_size=trips.seconds,
        wait_duration_in_open=trips.open_seconds,
        permitted_calls_in_half_open=1,
        slow_call_duration_threshold=NEVER,
    )


def _is_open(model: str, retry_after: float | None) -> GatewayError:
    wait = max(1.0, retry_after or 1.0)
    return GatewayError(
        "overloaded_error",
        f"Claude keeps failing with {model}, so cgw does not ask it for the moment: try again in {wait:.0f} s, or name "
        "another model.",
        status=503,
        code=CODE,
        retry_after=wait,
    )
