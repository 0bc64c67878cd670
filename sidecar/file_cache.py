"""The files of this machine's conversations: which content was sent how often, and what references to it saved.

A content is known by its digest, so a file that changed is another one, and the same text under two paths is one. It
is never kept itself. Counts live in memory and are written behind, a shard at a time; what was counted in the last
second before a crash is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import orjson

from sidecar.exchange import Json

if TYPE_CHECKING:
    from sidecar.store.shelves import Shelf

NAMESPACE: Final = "files"
SIZE_LIMIT_BYTES: Final = 16 * 1024 * 1024
SHARDS: Final = 32
SHARD_FILES: Final = 128
"""Of each shard those seen last: about 4,000 in all, 200 bytes each."""
KEPT_SECONDS: Final = 90 * 86_400.0
LONGEST_PATH: Final = 400
"""Characters; of a longer one the end is kept."""
FORMAT: Final = 2
_Known = tuple[str, str]
"""A digest, and whose it is."""
_KEYS: Final = tuple(f"{FORMAT}-{number:02}" for number in range(SHARDS))


@dataclass(slots=True)
class SeenFile:
    """One content and what became of it."""

    digest: str
    """Hexadecimal."""
    project: str
    """Whose conversations it was sent in."""
    path: str | None
    """Under which it was last seen; None where no envelope named it."""
    tokens: int
    times: int
    """How often a client sent it anew; the same block in later turns of a conversation counts once."""
    saved_tokens: int
    """Tokens that references kept from going upstream."""
    last_seen: float
    """Epoch seconds."""

    @property
    def resent_tokens(self) -> int:
        """Of all times but the first."""
        return self.tokens * (self.times - 1)


class FileCache:
    """Counts what passes. `seen` and `tokens` belong to the request path: they take microseconds. Thread-safe.

    Until `load` has read what is kept, nothing is written.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf: Final = shelf
        self._lock: Final = threading.Lock()
        self._shards: Final[list[dict[_Known, SeenFile]]] = [{} for _ in range(SHARDS)]
        self._loaded = False

    def load(self) -> None:
        """Read what is kept, and add what was seen meanwhile. Blocks: for a thread at start."""
        kept = self._shelf.get_many(_KEYS)
        read = [{_known(file): file for file in self._files(key, kept.get(key))} for key in _KEYS]
        with self._lock:
            waiting = [number for number, shard in enumerate(self._shards) if shard]
            for shard, old in zip(self._shards, read, strict=True):
                meanwhile = list(shard.values())
                shard.clear()
                shard.update(old)
                for file in meanwhile:
                    _count(shard, file)
            self._loaded = True
        for number in waiting:
            self._keep(number)

    def seen(self, project: str, path: str | None, digest: bytes, *, tokens: int, saved: int, now: float) -> None:
        """A client sent this content anew; references saved so many of its tokens. `now` in epoch seconds."""
        name = digest.hex()
        number = _shard(name)
        file = SeenFile(name, project, path[-LONGEST_PATH:] if path else None, tokens, 1, saved, now)
        with self._lock:
            _count(self._shards[number], file)
            loaded = self._loaded
        if loaded:
            self._keep(number)

    def tokens(self, project: str, digest: bytes) -> int | None:
        """How many tokens a content has that was seen before: it need not be counted again."""
        name = digest.hex()
        with self._lock:
            file = self._shards[_shard(name)].get((name, project))
        return file.tokens if file is not None else None

    def most_resent(self, limit: int) -> list[SeenFile]:
        """The files of which most tokens were sent more than once, most first."""
        with self._lock:
            resent = [file for shard in self._shards for file in shard.values() if file.times > 1]
        resent.sort(key=lambda file: (-file.resent_tokens, -file.last_seen, _known(file)))
        return resent[: max(0, limit)]

    def _keep(self, number: int) -> None:
        self._shelf.put(_KEYS[number], lambda: self._written(number), KEPT_SECONDS)

    def _written(self, number: int) -> bytes:
        with self._lock:
            return orjson.dumps([asdict(file) for file in self._shards[number].values()])

    def _files(self, key: str, value: bytes | None) -> list[SeenFile]:
        """None of a value that is not ours: the counts begin anew."""
        try:
            return [SeenFile(**file) for file in orjson.loads(value or b"[]")]
        except (orjson.JSONDecodeError, TypeError):
            self._shelf.drop(key, "it has no counts of this version")
            return []


def as_json(files: Iterable[SeenFile]) -> Json:
    """For `cgw files --json` and `/admin/files`."""
    return {"files": [{**asdict(file), "resent_tokens": file.resent_tokens} for file in files]}


def _known(file: SeenFile) -> _Known:
    return file.digest, file.project


def _count(shard: dict[_Known, SeenFile], seen: SeenFile) -> None:
    """Add to what is known of a content; it becomes the shard's newest, and the oldest goes."""
    if (known := shard.pop(_known(seen), None)) is not None:
        known.path = seen.path or known.path
        known.tokens = seen.tokens
        known.times += seen.times
        known.saved_tokens += seen.saved_tokens
        known.last_seen = max(known.last_seen, seen.last_seen)
    shard[_known(seen)] = known or seen
    while len(shard) > SHARD_FILES:
        del shard[next(iter(shard))]


def _shard(name: str) -> int:
    return int(name[:2] or "0", 16) % SHARDS
