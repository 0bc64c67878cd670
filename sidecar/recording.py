"""`cgw record`: exact exchanges kept in the home folder, for `cgw replay`. Off unless its user turns it on.

One file a conversation, `recordings/CONVERSATION.jsonl`, one exchange a line:

    format      `FORMAT`, always first
    id, time    the gateway's request id; when the request came (seconds since the epoch)
    client, dialect, project, model_asked, model, status
    headers     those of the client's that say which tool and which session it is; never a credential
    body        what the client sent
    upstream    what went to Claude
    answer      Claude's message, or null where it was not read as a whole

The two bodies are text as a difference to the line before: `[head, new, tail]` keeps `head` characters of the beginning
and `tail` of the end. A conversation's bodies are mostly their predecessors, so a file grows with what was said and not
with its square.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar.clients import FINGERPRINTS
from sidecar.conversations import SESSION_HEADERS
from sidecar.exchange import Exchange, Json
from sidecar.home import FOLDER_MODE, Home, explained

log = logging.getLogger(__name__)

FORMAT: Final = "cgw-exchange-1"
KEPT_HEADERS: Final = frozenset(
    {
        *(row.header[0] for row in FINGERPRINTS if row.header is not None),
        *SESSION_HEADERS,
        "anthropic-version",
        "anthropic-beta",
    }
)
"""All others may hold a secret under a name that nobody here knows."""

SWITCH: Final = "on"
"""The file in the folder that stands for `cgw record on`."""
LOOK_SECONDS: Final = 1.0
"""How often a running sidecar looks for the switch."""
MOST_BYTES: Final = 512 * 1024 * 1024
MOST_SECONDS: Final = 30 * 86_400
"""What is kept, over all conversations; the oldest go first."""
FILE_BYTES: Final = 64 * 1024 * 1024
"""Of one conversation; what comes after is not kept."""
WAITING: Final = 64
"""Exchanges that wait to be written; more are let go, since nothing may wait for a recording."""
OPEN_CONVERSATIONS: Final = 32
"""Whose newest bodies are remembered; another's next line is written whole."""

Difference = tuple[int, str, int]


class Recordings:
    """The folder `recordings` of a home."""

    def __init__(self, home: Home) -> None:
        self.folder: Final = home.path / "recordings"
        self._switch = self.folder / SWITCH

    @property
    def on(self) -> bool:
        return self._switch.exists()

    def turn_on(self) -> None:
        """Raises HomeError."""
        with explained(self.folder):
            self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            self.folder.chmod(FOLDER_MODE)
            self._switch.touch(mode=0o600)

    def turn_off(self) -> None:
        """What was recorded stays. Raises HomeError."""
        with explained(self.folder):
            self._switch.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """One a conversation, the least recently written first."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(self.folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
        return []

    def prune(self, *, now: float, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS) -> None:
        """Drops what is too old, and the oldest of what is too much. Raises OSError."""
        kept = [(path, path.stat()) for path in self.files()]
        size = sum(status.st_size for _, status in kept)
        for path, status in kept:
            if size <= most_bytes and now - status.st_mtime <= most_seconds:
                break
            path.unlink(missing_ok=True)
            size -= status.st_size


class Recorder:
    """The gateway's listener: writes finished exchanges on a thread of its own, and never troubles a request."""

    def __init__(self, home: Home) -> None:
        self._recordings = Recordings(home)
        self._looked = float("-inf")
        self._on = False
        self._waiting: queue.Queue[Exchange | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    @property
    def on(self) -> bool:
        """Whether exchanges are recorded at the moment; as the switch stood at most `LOOK_SECONDS` ago."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._on = self._recordings.on
        return self._on

    def __call__(self, exchange: Exchange) -> None:
        if exchange.kind != "generate" or not self.on:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(exchange)
        except queue.Full:
            log.warning("request %s is not recorded: the disk does not keep up", exchange.id)

    def close(self) -> None:
        """Returns once everything that waits is written."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _write_all(self) -> None:
        files = _Files(self._recordings)
        while (exchange := self._waiting.get()) is not None:
            try:
                files.add(exchange)
            except Exception:
                log.exception("request %s is not recorded", exchange.id)


@dataclass(slots=True)
class _Newest:
    """The bodies of a conversation's last line."""

    body: str = ""
    upstream: str = ""


class _Files:
    """Belongs to the recorder's thread."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._newest: OrderedDict[str, _Newest] = OrderedDict()

    def add(self, exchange: Exchange) -> None:
        path = self._recordings.folder / f"{exchange.conversation}.jsonl"
        size = path.stat().st_size if path.exists() else 0
        if not size:
            self._recordings.prune(now=time.time())
        if size > FILE_BYTES:
            return
        newest = self._newest.pop(exchange.conversation, None) or _Newest()
        line = _line(exchange, newest)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
            file.write(line)
        self._newest[exchange.conversation] = newest
        while len(self._newest) > OPEN_CONVERSATIONS:
            self._newest.popitem(last=False)


def _line(exchange: Exchange, newest: _Newest) -> bytes:
    """One exchange, as a difference to `newest`, which is it from then on."""
    body = exchange.client_body.decode()
    upstream = orjson.dumps(exchange.request).decode() if exchange.edited else body
    kept = {
        "format": FORMAT,
        "id": exchange.id,
        "time": exchange.started.timestamp(),
        "client": exchange.client,
        "dialect": exchange.dialect,
        "project": exchange.project,
        "model_asked": exchange.model_asked,
        "model": exchange.model,
        "status": exchange.status,
        "headers": {name: value for name, value in exchange.client_headers.items() if name in KEPT_HEADERS},
        "body": difference(newest.body, body),
        "upstream": difference(newest.upstream, upstream),
        "answer": exchange.answer,
    }
    newest.body, newest.upstream = body, upstream
    return orjson.dumps(kept) + b"\n"


def read_lines(lines: Iterable[bytes]) -> Iterator[Json]:
    """The exchanges of one file, with `body` and `upstream` whole.

    Raises ValueError for a line that is no exchange; KeyError or TypeError where something is missing in it.
    """
    body = upstream = ""
    for line in lines:
        kept: Any = orjson.loads(line)
        body = whole(body, kept["body"])
        upstream = whole(upstream, kept["upstream"])
        yield {**kept, "body": body, "upstream": upstream}


def difference(before: str, after: str) -> Difference:
    """What to keep of `before`'s beginning and end, and what stands between in `after`."""
    head = _common(before, after, from_end=False, most=min(len(before), len(after)))
    tail = _common(before, after, from_end=True, most=min(len(before), len(after)) - head)
    return head, after[head : len(after) - tail], tail


def whole(before: str, kept: Difference) -> str:
    """The other way round. Raises ValueError for a difference to another text."""
    head, new, tail = kept
    if head + tail > len(before) or head < 0 or tail < 0:
        raise ValueError("a difference to a line that is not there")
    return before[:head] + new + before[len(before) - tail :]


def _common(one: str, other: str, *, from_end: bool, most: int) -> int:
    """Equal characters at the beginning or the end, by halving: comparing slices is what Python does fast."""
    low = 0
    while low < most:
        middle = (low + most + 1) // 2
        same = one[len(one) - middle :] == other[len(other) - middle :] if from_end else one.startswith(other[:middle])
        if same:
            low = middle
        else:
            most = middle - 1
    return low
