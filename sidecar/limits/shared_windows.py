"""The same counts for a whole team, in Redis, through the `limits` library.

A request waits at most `ANSWER_SECONDS` for Redis. When it does not answer, everybody counts alone until a probe in the
background finds it again; no request ever waits for one that is known to be lost. The library and the client are only
imported where there is a REDIS_URL, in a thread: together they take 0.2 s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sidecar.limits.windows import MINUTE, Window

if TYPE_CHECKING:
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
    from redis.asyncio import ConnectionPool

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 0.5
"""The most that one request waits."""
CONNECT_SECONDS: Final = 5.0
FIRST_RETRY, LAST_RETRY = 0.5, 15.0
"""Seconds until a lost Redis is asked again: doubled each time."""
CONNECTIONS: Final = 16
KEY_PREFIX: Final = "cgw:limits"
SCHEMES: Final = frozenset({"redis", "rediss", "unix"})


class SharedStoreLostError(Exception):
    """Redis did not answer; the warning says why, and the caller counts alone."""


class SharedWindows:
    """Opens nothing before `run`."""

    def __init__(self, url: str) -> None:
        """Raises ValueError, one sentence, for a URL that is none of Redis."""
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError("REDIS_URL is no address of a Redis, as in redis://:password@host:6379/0")
        self._url: Final = url
        self._where: Final = parts.hostname or parts.path
        self._retry_after = FIRST_RETRY
        self._lost: Final = asyncio.Event()
        self._lost.set()
        self.warning = ""
        """One sentence for everybody while Redis is lost; the reason is in the log."""

    @property
    def up(self) -> bool:
        """Whether Redis answers."""
        return not self._lost.is_set()

    async def run(self) -> None:
        """Connect, and connect again whenever it was lost. Runs until cancelled."""
        pool = await asyncio.to_thread(self._open)
        try:
            while True:
                await self._lost.wait()
                if not await self._found():
                    await asyncio.sleep(self._retry_after)
                    self._retry_after = min(2 * self._retry_after, LAST_RETRY)
        finally:
            self._lost.set()
            await pool.aclose()

    async def take(self, project: str, limit: int) -> Window:
        """Count one request, unless the limit is reached. Raises SharedStoreLostError."""
        async with self._answering():
            item = self._per_minute(limit)
            taken = await self._requests.hit(item, "requests", project)
            stats = await self._requests.get_window_stats(item, "requests", project)
        return _window(limit, stats.remaining, stats.reset_time, refused=not taken)

    async def add_tokens(self, project: str, limit: int, tokens: int) -> None:
        """Raises SharedStoreLostError."""
        async with self._answering():
            await self._tokens.hit(self._per_minute(limit), "tokens", project, cost=tokens)

    async def look_at_tokens(self, project: str, limit: int) -> Window:
        """Raises SharedStoreLostError."""
        async with self._answering():
            stats = await self._tokens.get_window_stats(self._per_minute(limit), "tokens", project)
        # Redis tells the end of a minute in whole seconds, rounded: one more, so that nobody comes too early.
        return _window(limit, stats.remaining, stats.reset_time + 1, refused=stats.remaining == 0)

    def _open(self) -> ConnectionPool:
        from limits import RateLimitItemPerMinute
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter
        from redis.asyncio import BlockingConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        pool = BlockingConnectionPool.from_url(
            self._url,
            max_connections=CONNECTIONS,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 1),  # an idle connection that a firewall or a restart cut is no loss
        )
        self._storage: RedisStorage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=KEY_PREFIX,
            connection_pool=pool,  # type: ignore[arg-type]  # documented, and missing in its annotation
        )
        self._per_minute: Callable[[int], RateLimitItemPerMinute] = RateLimitItemPerMinute
        self._requests: MovingWindowRateLimiter = MovingWindowRateLimiter(self._storage)
        self._tokens: FixedWindowRateLimiter = FixedWindowRateLimiter(self._storage)
        return pool

    async def _found(self) -> bool:
        """Whether Redis takes a write: a replica that only reads is no use."""
        try:
            async with _explained(CONNECT_SECONDS):
                await self._storage.incr("probe", int(MINUTE))
        except SharedStoreLostError as error:
            self._note_loss(error)
            return False
        if self.warning:
            log.warning("Redis at %s answers again: limits are shared again.", self._where)
        self.warning = ""
        self._retry_after = FIRST_RETRY
        self._lost.clear()
        return True

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        if not self.up:
            raise SharedStoreLostError(self.warning)
        try:
            async with _explained(ANSWER_SECONDS):
                yield
        except SharedStoreLostError as error:
            self._lost.set()
            self._note_loss(error)
            raise

    def _note_loss(self, error: SharedStoreLostError) -> None:
        if not self.warning:
            log.warning("Redis at %s does not answer (%s): this gateway counts its limits alone.", self._where, error)
        self.warning = "Redis does not answer: this gateway counts its limits alone."


@asynccontextmanager
async def _explained(seconds: float) -> AsyncIterator[None]:
    """Whatever is wrong with Redis, within `seconds`, becomes SharedStoreLostError with the reason."""
    from redis.exceptions import RedisError

    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise SharedStoreLostError(f"no answer within {seconds:g} s") from error
    except (RedisError, OSError) as error:
        raise SharedStoreLostError(str(error) or type(error).__name__) from error


def _window(limit: int, remaining: int, reset_time: float, *, refused: bool) -> Window:
    remaining = max(0, min(limit, remaining))
    reset = 0.0 if remaining == limit else max(0.0, min(MINUTE + 1, reset_time - time.time()))
    return Window(limit, remaining, reset, refused)
