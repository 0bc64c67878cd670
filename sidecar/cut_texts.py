"""What was cut out of requests, whole, for `cgw show`."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

import orjson

from sidecar.cuts import cut_id
from sidecar.store.shelves import Shelf, Shelves

NAMESPACE: Final = "cuts"
SIZE_LIMIT: Final = 256 * 1024 * 1024
KEPT_SECONDS: Final = 30 * 24 * 3600
LISTED: Final = 200

_LIST = "list"


@dataclass(frozen=True, slots=True)
class CutHead:
    """What is known of a text without reading it."""

    id: str
    what: str
    """`result of read_file`."""
    characters: int
    lines: int
    cut_at: str
    """ISO 8601, UTC."""
    project: str
    client: str


class CutTexts:
    """Stays on this machine, also where a team shares a Redis. Any thread may use it; reading blocks."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelf: Final[Shelf] = shelves(NAMESPACE, SIZE_LIMIT, shared=False)
        self._lock: Final = threading.Lock()
        self._unlisted: list[CutHead] = []

    def keep(self, text: str, what: str, *, at: datetime, project: str, client: str) -> None:
        """Under `cut_id(text)`. Never blocks."""
        lines = text.count("\n") + (not text.endswith("\n"))
        head = CutHead(cut_id(text), what, len(text), lines, at.isoformat(timespec="seconds"), project, client)
        with self._lock:
            self._unlisted.append(head)
        self._shelf.put(f"cut:{head.id}", text.encode("utf-8", "surrogatepass"), KEPT_SECONDS, project=project)
        self._shelf.put(_LIST, self._listed, KEPT_SECONDS)

    def read(self, text_id: str) -> str | None:
        kept = self._shelf.get(f"cut:{text_id}")
        return None if kept is None else kept.decode("utf-8", "surrogatepass")

    def recent(self) -> list[CutHead]:
        """The newest first."""
        kept = self._shelf.get(_LIST)
        return [CutHead(**fields) for fields in orjson.loads(kept)] if kept else []

    def _listed(self) -> bytes:
        with self._lock:
            new, self._unlisted = self._unlisted[::-1], []
        heads = {head.id: head for head in [*self.recent(), *reversed(new)]}
        newest_first = [*dict.fromkeys(head.id for head in [*new, *heads.values()])]
        return orjson.dumps([asdict(heads[head_id]) for head_id in newest_first[:LISTED]])
