"""The one interface for all that is kept, and how a store is opened.

Nothing here imports diskcache or redis: a store opens itself when it is first asked, on the thread that asks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from sidecar.store.fail_open import FailOpen

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.home import Home

NAMESPACE: Final = re.compile(r"[a-z][a-z_]{0,39}")


Write = tuple[str, bytes, float]
"""Key, value, and for how many seconds."""


class Store(Protocol):
    """Bytes by key, for a time. Every method blocks, for a thread to call; any thread may."""

    def get(self, key: str) -> bytes | None: ...

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those that are there."""

    def set(self, key: str, value: bytes, ttl_seconds: float) -> None:
        """Keep it for that long, or until room is needed."""

    def set_many(self, entries: Sequence[Write]) -> None:
        """The same for several at once, which costs little more than one."""

    def lacks(self, key: str) -> bool:
        """Whether it is surely not there, told without waiting: for the event loop. Where nobody knows it is not."""

    def delete(self, key: str) -> None: ...

    def keys(self) -> Collection[str]:
        """All that there are, in no order."""

    def close(self) -> None: ...


def open_store(home: Home, redis_url: str | None, namespace: str, size_limit_bytes: int) -> Store:
    """A store that never fails: what goes wrong with disk or Redis is a miss, and a line in the log once a minute.

    `namespace` keeps one kind of thing apart from the others ("conversations", "files"). On disk it is a folder in the
    home, which holds up to about `size_limit_bytes` and lets go of what was used longest ago. In Redis, where there is
    a `redis_url`, it is part of the key, and the server's own `maxmemory` is the bound.
    """
    if not NAMESPACE.fullmatch(namespace):
        raise ValueError(f"{namespace!r} is not the name of a namespace: lower case letters and _, at most 40")
    if redis_url is None:
        folder = home.cache_dir / namespace
        return FailOpen(partial(_open_disk, folder, size_limit_bytes), str(folder))
    where = urlsplit(redis_url)
    return FailOpen(partial(_open_redis, redis_url, namespace), f"Redis at {where.hostname or where.path}")


def _open_disk(folder: Path, size_limit_bytes: int) -> Store:
    from sidecar.store.disk import DiskStore

    return DiskStore(folder, size_limit_bytes)


def _open_redis(url: str, namespace: str) -> Store:
    from sidecar.store.shared import RedisStore

    return RedisStore(url, namespace)
