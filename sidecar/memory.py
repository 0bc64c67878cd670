"""The conversations this sidecar knows: finds the line a request goes on from, and keeps what went upstream.

Lines live in memory, bounded by weight, and are written behind to a store, so that a prefix is still sent as it was
after a restart. The store is asked only where memory has nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import islice
from math import inf
from typing import Final, NamedTuple, Protocol

from sidecar import miss_causes
from sidecar.conversation import (
    Accepted,
    Line,
    Match,
    Position,
    common_prefix,
    flattened,
    in_frozen_order,
    match,
    rolling,
    share_bytes,
)
from sidecar.conversations import session_of
from sidecar.economy.breakpoints import can_be_marked
from sidecar.exchange import Exchange
from sidecar.holdout import in_holdout
from sidecar.line_format import decode_line, encode_head, encode_segment, head_of, segments_of
from sidecar.prompt import Prompt
from sidecar.random_ids import random_id
from sidecar.stretch import LONG, apart

log = logging.getLogger(__name__)

MOST_BYTES: Final = 24 * 1024 * 1024
"""The store has the others, and reading one back takes milliseconds."""
MOST_LINES: Final = 2_000
KEPT_SECONDS: Final = 14 * 24 * 3600
"""A conversation that nobody went on with for so long is forgotten."""
LINES_A_GROUP: Final = 16
WRITTEN_AGAIN_SECONDS: Final = 24 * 3600
"""How often the store is told of a group in which nothing changed, so that it keeps it."""
ANSWERS_LOOKED_AT: Final = 4
KEYS_REMEMBERED: Final = 1_024
"""A conversation's are asked for in each of its turns."""
MOST_ASKED: Final = 20_000
"""Keys of which it is remembered that the store was asked."""
IN_ITS_HEAD: Final = 4 * 1024
"""Bytes of a conversation's first request that are kept with what is known of it, as one entry."""
GONE: Final = b""
"""The head of a line that must not come back: keys that nobody knows any more may still lead to it."""


class Kept(Protocol):
    """Where lines outlive the process: `sidecar.store` has the real ones."""

    def get(self, key: str) -> bytes | None: ...

    def lacks(self, key: str) -> bool:
        """Whether there is surely nothing, told without waiting."""

    def put(self, key: str, value: bytes | Callable[[], bytes], ttl_seconds: float, *, project: str) -> None:
        """Takes a write without blocking. A function is called once its turn has come, on another thread."""


class ConversationMemory:
    """The pipeline's first step: gives each exchange its `prompt`. Belongs to the event loop."""

    def __init__(
        self, kept: Kept | None = None, *, holdout_percent: float = 0.0, reduce_with_thinking: bool = False
    ) -> None:
        self._kept = kept
        self._holdout_percent = holdout_percent
        self._reduce_with_thinking = reduce_with_thinking
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._bytes = 0
        self._groups: OrderedDict[str, list[str]] = OrderedDict()
        """Ids of the lines that a key leads to, the newest last."""
        self._keys: dict[str, set[str]] = {}
        """The keys that lead to a line."""
        self._asked: set[str] = set()
        """Keys that the store was asked for."""
        self._written: dict[str, float] = {}
        """When the store was last told of a group as it is, in epoch seconds."""
        self._segments: dict[str, int] = {}
        """How many segments of a line the store has."""
        self._weights: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._lines)

    # --- before it goes upstream

    async def request(self, exchange: Exchange) -> None:
        if exchange.kind != "generate" or exchange.request.get("thread") is not None:
            return
        new = len(exchange.client_body) - (exchange.known.size if exchange.known is not None else 0)
        prompt = await apart(new, _flattened, exchange) if new > LONG else _flattened(exchange)
        if prompt is None:
            return
        prompt.session = session_of(exchange.client_headers)
        keys = prompt.groups = _groups(exchange.project, prompt)
        found = self._best(prompt, keys)
        if self._kept is not None and not (found is not None and found.whole):
            unknown = [key for key in keys if key not in self._asked and not self._kept.lacks(f"group/{key}")]
            if unknown:
                self._take_in(await asyncio.to_thread(_read_groups, self._kept, unknown, {*self._lines}))
                found = self._best(prompt, keys)
        if found is not None and found.common + len(found.changed):
            prompt.resume(found, exchange.now)
            if new > LONG and not prompt.reordered:
                share_bytes(found.line, prompt.positions, found.common)
        prompt.expected = miss_causes.expected(prompt, self._candidates(prompt, keys))
        line = prompt.line if prompt.goes_on else None
        exchange.holdout = line.holdout if line else in_holdout(exchange.conversation, self._holdout_percent)
        exchange.bypass = exchange.bypass or exchange.holdout
        plain = exchange.bypass or (line is not None and line.references_off)
        exchange.reduces = not plain and (self._reduce_with_thinking or not prompt.thinks)
        exchange.prompt = prompt

    def _best(self, prompt: Prompt, keys: list[str]) -> Match | None:
        best: tuple[tuple[int, int, int, float], Match, list[Position]] | None = None
        tools, _ = prompt.zone_ends
        for line in self._candidates(prompt, keys):
            # What begins with the same hash has its tools in the same order.
            alike = line.chain[tools - 1 : tools] == prompt.chain[tools - 1 : tools]
            positions = prompt.positions if alike else in_frozen_order(line, prompt.positions)
            same = positions is prompt.positions
            chain = prompt.chain if same else rolling(prompt.project, [at.digest for at in positions])
            found = match(line, positions, chain)
            rank = (
                len(line.sent) if found.changed else found.common,
                found.common,
                -len(found.changed),
                line.last_used,
            )
            if found.common + len(found.changed) and (best is None or rank > best[0]):
                best = (rank, found, positions)
        if best is None:
            return None
        if best[2] is not prompt.positions:
            prompt.reorder(best[2])
        return best[1]

    def _candidates(self, prompt: Prompt, keys: Iterable[str]) -> Iterator[Line]:
        """The lines that these keys lead to and that may be the conversation's."""
        session = prompt.session
        for line_id in {line_id for key in keys for line_id in self._groups.get(key, ())}:
            if (line := self._lines.get(line_id)) is None or line.project != prompt.project:
                continue
            if not (session and line.session and session != line.session):
                yield line

    # --- once Claude took it

    def accepted(self, exchange: Exchange) -> None:
        """Claude has begun to answer, its usage for the prompt is known: what was sent is now fixed. Never raises."""
        try:
            if exchange.prompt is not None:
                exchange.miss = miss_causes.cause_of(exchange, exchange.prompt)
                self._remember(exchange, exchange.prompt)
        except Exception:
            log.exception("the conversation of request %s is not remembered", exchange.id)

    def _remember(self, exchange: Exchange, prompt: Prompt) -> None:
        line, start = prompt.line, prompt.frozen
        goes_on = line is not None and start == len(line.sent) and not prompt.thawed
        if line is None:
            line = Line(random_id(), prompt.project, exchange.client, holdout=exchange.holdout)
        elif not goes_on:
            line = line.fork(random_id(), start)
            line.holdout = exchange.holdout
        line.session = prompt.session or line.session
        line.references_off = line.references_off or prompt.taken_back is not None
        line.thinking_off = line.thinking_off or prompt.thinking_refused
        if prompt.renewed:
            line.renew(prompt.renewed)
        line.extend(prompt.sent(), prompt.chain)
        usage = exchange.usage
        line.accept(
            Accepted(
                now=exchange.now,
                model=exchange.model,
                until=len(line.sent),
                tokens=usage.prompt_tokens,
                read=usage.cache_read_tokens,
                written_5m=usage.cache_write_5m_tokens,
                written_1h=usage.cache_write_1h_tokens,
                marks=_marks(exchange, prompt),
                answer=exchange.message_id,
            )
        )
        line.terms = miss_causes.terms_of(exchange.request)
        line.last_message = exchange.message_id or line.last_message
        prompt.line = line
        keys = prompt.groups
        self._add(line, keys)
        self._write(line, start if goes_on else 0, keys)

    # --- once a marker came back

    def taken_back(self, exchange: Exchange) -> None:
        """What was sent from `prompt.taken_back` on is not to be sent again, and nothing more is to be cut from this
        conversation, whichever of its lines it goes on from. Never raises."""
        try:
            if exchange.prompt is not None and exchange.prompt.taken_back is not None:
                self._shorten(exchange, exchange.prompt, exchange.prompt.taken_back)
        except Exception:
            log.exception("the conversation of request %s still has its references", exchange.id)

    def _shorten(self, exchange: Exchange, prompt: Prompt, first: int) -> None:
        keys = prompt.groups
        for line_id in {line_id for key in keys for line_id in self._groups.get(key, ())}:
            line = self._lines.get(line_id)
            if line is None or not (line is prompt.line or common_prefix(line.chain, prompt.chain) >= first):
                continue
            line.references_off = True  # also for requests that are under way with it
            shorter = line.fork(random_id(), first)
            self._forget(line_id)
            if self._kept is not None:
                self._kept.put(f"line/{line_id}", GONE, KEPT_SECONDS, project=line.project)
            self._add(shorter, keys)
            self._write(shorter, 0, keys)
            if line is prompt.line:
                prompt.line = shorter

    def _add(self, line: Line, keys: Iterable[str]) -> None:
        self._bytes += line.weight - self._weights.get(line.id, 0)
        self._weights[line.id] = line.weight
        self._lines[line.id] = line
        self._lines.move_to_end(line.id)
        self._keys.setdefault(line.id, set()).update(keys)
        for key in keys:
            group = self._groups.setdefault(key, [])
            if group[-1:] != [line.id]:
                if line.id in group:
                    group.remove(line.id)
                group.append(line.id)
                del group[:-LINES_A_GROUP]
                self._written.pop(key, None)
        while len(self._lines) > MOST_LINES or (self._bytes > MOST_BYTES and len(self._lines) > 1):
            self._forget(next(iter(self._lines)))

    def _forget(self, line_id: str) -> None:
        """Out of memory; the store may still have it."""
        self._bytes -= self._weights.pop(line_id)
        del self._lines[line_id]
        self._segments.pop(line_id, None)
        for key in self._keys.pop(line_id, ()):
            self._asked.discard(key)
            self._written.pop(key, None)
            group = [other for other in self._groups.pop(key, ()) if other != line_id]
            if group:
                self._groups[key] = group

    # --- the store

    def _write(self, line: Line, start: int, keys: Iterable[str]) -> None:
        if self._kept is None:
            return
        segments = self._segments.get(line.id, 0)
        put, project = self._kept.put, line.project
        if segments or line.turns > 1 or (line.sizes and line.sizes[-1] > IN_ITS_HEAD):
            if not segments:
                start = 0  # it stood in its head, or was forgotten while its request was under way
            added = partial(encode_segment, line.sent[start:])
            put(f"segment/{line.id}/{segments}", added, KEPT_SECONDS, project=project)
            segments += 1
        self._segments[line.id] = segments
        put(f"line/{line.id}", partial(encode_head, head_of(line, segments)), KEPT_SECONDS, project=project)
        for key in keys:
            if line.last_used >= self._written.get(key, -inf) + WRITTEN_AGAIN_SECONDS:
                self._written[key] = line.last_used
                lines = "\n".join(self._groups.get(key, ())).encode()
                put(f"group/{key}", lines, KEPT_SECONDS, project=project)

    def _take_in(self, read: _Read) -> None:
        if len(self._asked) > MOST_ASKED:
            self._asked.clear()
        for key, line_ids in read.groups.items():
            self._asked.add(key)
            for line_id in line_ids:
                if (line := self._lines.get(line_id)) is None and line_id in read.lines:
                    line, self._segments[line_id] = read.lines[line_id]
                if line is not None:
                    self._add(line, [key])


class _Read(NamedTuple):
    groups: dict[str, list[str]]
    """For each key, the ids of its lines."""
    lines: dict[str, tuple[Line, int]]
    """Those that memory did not have, and how many segments each has."""


def _read_groups(kept: Kept, keys: Iterable[str], known: Container[str]) -> _Read:
    """Every line that the keys lead to is read once, and none that is known. Blocks."""
    groups = {key: listed.decode().split("\n") if (listed := kept.get(f"group/{key}")) else [] for key in keys}
    unknown = {line_id for line_ids in groups.values() for line_id in line_ids if line_id not in known}
    lines = {line_id: read for line_id in unknown if (read := _read_line(kept, line_id)) is not None}
    return _Read(groups, lines)


def _read_line(kept: Kept, line_id: str) -> tuple[Line, int] | None:
    if (head := kept.get(f"line/{line_id}")) is None:
        return None
    segments = [kept.get(f"segment/{line_id}/{number}") for number in range(segments_of(head))]
    line = decode_line(line_id, head, segments)
    return (line, len(segments)) if line is not None else None


def _flattened(exchange: Exchange) -> Prompt | None:
    known, before = 0, None
    if exchange.known is not None:
        known, before = exchange.known.messages, exchange.known.made.flat
    flat = flattened(exchange.request, exchange.project, before, known)
    if flat is None or not flat.positions:
        return None
    if exchange.made is not None:
        exchange.made.flat = flat
    return Prompt(exchange.project, flat.positions, flat)


def _marks(exchange: Exchange, prompt: Prompt) -> dict[int, str]:
    """Where cache markers stand. Claude puts the one that is for a whole request on its last block that takes one."""
    marks = {**prompt.client_marks, **prompt.marks}
    automatic = exchange.request.get("cache_control")
    if isinstance(automatic, dict):
        last = (index for index in reversed(range(len(prompt.positions))) if can_be_marked(prompt.block(index)))
        if (index := next(last, None)) is not None:
            marks.setdefault(index, str(automatic.get("ttl") or "5m"))
    return marks


def _groups(project: str, prompt: Prompt) -> list[str]:
    """Keys under which the lines of a conversation are found: what the client calls it, its first words, and the
    beginnings of its last answers, which no other conversation has."""
    keys, positions = [], prompt.positions
    if session := prompt.session:
        keys.append(_key(project, b"session", session.encode("utf-8", "surrogatepass")))
    for at in islice(positions, prompt.zone_ends[1], None):
        if at.role == "user":
            keys.append(_key(project, b"opening", at.digest))
            break
    answers = 0
    for index in range(len(positions) - 1, -1, -1):
        at = positions[index]
        if at.role == "assistant" and (index == 0 or positions[index - 1].message != at.message):
            keys.append(_key(project, b"answer", at.digest))
            answers += 1
            if answers == ANSWERS_LOOKED_AT:
                break
    return keys


@lru_cache(maxsize=KEYS_REMEMBERED)
def _key(project: str, kind: bytes, what: bytes) -> str:
    return blake2b(b"\0".join((project.encode("utf-8", "surrogatepass"), kind, what)), digest_size=12).hexdigest()
