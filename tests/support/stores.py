"""A store in memory."""

from __future__ import annotations

from collections.abc import Sequence


class DictStore(dict[str, bytes]):
    """A store that may be out of order, and counts how often it was asked."""

    broken = False
    asked = 0

    def ask(self) -> None:
        self.asked += 1
        if self.broken:
            raise OSError("the shelf fell down")

    def get(self, key: str) -> bytes | None:  # type: ignore[override]
        self.ask()
        return super().get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        self.ask()
        return {key: self[key] for key in keys if key in self}

    def set(self, key: str, value: bytes, ttl_seconds: float) -> None:
        self.ask()
        self[key] = value

    def set_many(self, entries: Sequence[tuple[str, bytes, float]]) -> None:
        for entry in entries:
            self.set(*entry)

    def lacks(self, key: str) -> bool:
        return False

    def delete(self, key: str) -> None:
        self.ask()
        self.pop(key, None)

    def close(self) -> None: ...
