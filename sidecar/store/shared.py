"""The store that a team shares: Redis. Imported only when there is a REDIS_URL and a store is opened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from sidecar.store.store import Write

ANSWER_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 2.0
KEY_PREFIX: Final = "cgw:"


class RedisStore:
    """A `Store`. Its methods raise RedisError."""

    def __init__(self, url: str, namespace: str) -> None:
        """Raises ValueError for a URL that is none of Redis. Connects when it is first asked."""
        self._redis: Final = Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 1),  # an idle connection that a firewall or a restart cut is no loss
        )
        self._prefix: Final = f"{KEY_PREFIX}{namespace}:"

    def get(self, key: str) -> bytes | None:
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        if not keys:
            return {}
        found = self._redis.mget([self._prefix + key for key in keys])
        return {key: value for key, value in zip(keys, found, strict=True) if isinstance(value, bytes)}

    def set(self, key: str, value: bytes, ttl_seconds: float) -> None:
        self.set_many([(key, value, ttl_seconds)])

    def set_many(self, entries: Sequence[Write]) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            for key, value, ttl_seconds in entries:
                pipeline.set(self._prefix + key, value, px=max(1, round(ttl_seconds * 1000)))
            pipeline.execute()

    def lacks(self, key: str) -> bool:
        """Others write too."""
        return False

    def delete(self, key: str) -> None:
        self._redis.delete(self._prefix + key)

    def keys(self) -> Collection[str]:
        found = self._redis.scan_iter(match=f"{self._prefix}*", count=1000)
        return {key.decode("utf-8", "replace").removeprefix(self._prefix) for key in found}

    def close(self) -> None:
        self._redis.close()
