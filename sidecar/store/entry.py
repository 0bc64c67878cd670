"""One value as it lies in a store: bytes of our own format, that come back whole or not at all.

    cgw-entry 1 | 16 bytes of blake2b over the key and all that follows | when, 8 bytes | length of the name, 2 bytes
    | the project's name | the value

Pure values; nothing here knows a store.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

MAGIC: Final = b"cgw-entry 1\n"
SUM_BYTES: Final = 16
_HEAD: Final = struct.Struct(">dH")
_SEALED_AT: Final = len(MAGIC) + SUM_BYTES
_NAME_AT: Final = _SEALED_AT + _HEAD.size


class CorruptEntryError(Exception):
    """Bytes that are not what was kept under this key."""


@dataclass(frozen=True, slots=True)
class Entry:
    value: bytes
    project: str
    """Whose it is; empty where it is nobody's but the machine's."""
    stored_at: float
    """Epoch seconds."""

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return len(self.value)

    def age(self, now: float) -> float:
        """Seconds; a clock that was set back makes nothing younger than new."""
        return max(0.0, now - self.stored_at)

    def to_bytes(self, key: str) -> bytes:
        name = self.project.encode("utf-8", "surrogatepass")
        rest = _HEAD.pack(self.stored_at, len(name)) + name + self.value
        return MAGIC + _sum(key, rest) + rest

    @classmethod
    def from_bytes(cls, key: str, kept: bytes) -> Entry:
        """Raises CorruptEntryError."""
        if not kept.startswith(MAGIC) or len(kept) < _NAME_AT:
            raise CorruptEntryError("it is no entry of this version")
        if kept[len(MAGIC) : _SEALED_AT] != _sum(key, memoryview(kept)[_SEALED_AT:]):
            raise CorruptEntryError("its check sum is another")
        stored_at, length = _HEAD.unpack_from(kept, _SEALED_AT)
        value_at = _NAME_AT + length
        return cls(kept[value_at:], kept[_NAME_AT:value_at].decode("utf-8", "surrogatepass"), stored_at)


def _sum(key: str, rest: bytes | memoryview) -> bytes:
    name = key.encode("utf-8", "surrogatepass")
    hashed = blake2b(len(name).to_bytes(4) + name, digest_size=SUM_BYTES)
    hashed.update(rest)
    return hashed.digest()
