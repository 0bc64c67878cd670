"""Prompt caching as Anthropic bills it: what a request reads, what it writes, and for how long that lives.

The rules (documentation of prompt caching, autumn 2026):

- Entries are written only at marked blocks, one a mark, and hold the whole prefix. They are found again by walking
  back from each mark of a later request over at most 20 positions, the mark's own included; a run of `tool_use`
  blocks is one position, and so is a run of `tool_result` blocks. Marks below the model's minimum length do nothing.
- With A the tokens at the highest entry found, B the highest one-hour mark behind it (else A) and C the last mark: A
  is read, B - A is written for an hour, C - B for five minutes, the rest is plain input.
- An entry lives five minutes or an hour, counted from the start of the request that wrote it or last read it. It can
  be read once the writer's response has begun. A read refreshes the entry found and every entry under a mark of the
  same request.
- Entries belong to a workspace, a model, an output format and a task budget. Speed and citations change the system
  text; `tool_choice`, the presence of images, thinking and effort change the messages.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sidecar.simulator.models import Model
from sidecar.simulator.prompt import PromptBlock, message_blocks

LOOKBACK = 20
LIFETIME = {"5m": 300.0, "1h": 3600.0}
"""Seconds."""
_RUNS = frozenset({"tool_use", "tool_result"})


@dataclass(slots=True)
class Entry:
    """One cached prefix."""

    ttl: str
    expires: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one request reads and writes, in tokens. `input + read + write_5m + write_1h` is the whole prompt."""

    input: int
    read: int
    write_5m: int
    write_1h: int
    digests: tuple[bytes, ...] = ()
    """The prefix digest behind every block."""
    started: float = 0.0
    to_write: tuple[tuple[bytes, str, int], ...] = ()
    """Entries that come to life when the response begins: digest, lifetime, tokens."""

    @property
    def total(self) -> int:
        return self.input + self.read + self.write_5m + self.write_1h


@dataclass(frozen=True, slots=True)
class _Mark:
    index: int
    tokens: int
    ttl: str


class PromptCache:
    """All workspaces' entries, the least recently used dropped past `limit`. One event loop owns it."""

    def __init__(self, *, limit: int = 100_000) -> None:
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._limit = limit

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        self._entries.clear()

    def read(
        self, request: dict[str, Any], blocks: list[PromptBlock], model: Model, workspace: str, now: float
    ) -> Reading:
        """Bill one request that starts at `now` (seconds). Refreshes what it reads; writes nothing until `begin`."""
        digests = prefix_digests(request, blocks, model, workspace)
        sums = _prefix_sums(blocks)
        positions = _positions(blocks)
        marks = [
            mark
            for index, ttl in effective_marks(request, blocks)
            if (mark := _Mark(index, sums[index], ttl)).tokens >= model.min_cacheable
        ]
        hit = self._highest_hit(marks, positions, digests, now)
        alive_marks = [mark.index for mark in marks if hit is not None and mark.index <= hit]
        for index in {*alive_marks, *([hit] if hit is not None else [])}:
            self._refresh(digests[index], now)

        total = sums[-1] if sums else 0
        a = sums[hit] if hit is not None else 0
        new = [mark for mark in marks if hit is None or mark.index > hit]
        b = max((mark.tokens for mark in new if mark.ttl == "1h"), default=a)
        c = max((mark.tokens for mark in new), default=a)
        return Reading(
            input=total - c,
            read=a,
            write_5m=c - b,
            write_1h=b - a,
            digests=tuple(digests),
            started=now,
            to_write=tuple((digests[mark.index], mark.ttl, mark.tokens) for mark in new),
        )

    def begin(self, reading: Reading) -> None:
        """The response begins: what the request writes can be read from now on."""
        for digest, ttl, tokens in reading.to_write:
            written = Entry(ttl, reading.started + LIFETIME[ttl], tokens)
            kept = self._entries.get(digest)  # another request may have written the same prefix meanwhile
            if kept is None or kept.expires < written.expires:
                self._entries[digest] = written
            self._entries.move_to_end(digest)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def _highest_hit(self, marks: list[_Mark], positions: list[int], digests: list[bytes], now: float) -> int | None:
        for mark in reversed(marks):
            lowest = positions[mark.index] - LOOKBACK
            for index in range(mark.index, -1, -1):
                if positions[index] <= lowest:
                    break
                if self._alive(digests[index], now):
                    return index
        return None

    def _alive(self, digest: bytes, now: float) -> bool:
        entry = self._entries.get(digest)
        return entry is not None and now < entry.expires

    def _refresh(self, digest: bytes, now: float) -> None:
        if self._alive(digest, now):
            entry = self._entries[digest]
            entry.expires = max(entry.expires, now + LIFETIME[entry.ttl])
            self._entries.move_to_end(digest)


def effective_marks(request: dict[str, Any], blocks: list[PromptBlock]) -> list[tuple[int, str]]:
    """Index and lifetime of every marked block, the automatic top-level mark on the last block that can carry one."""
    marks = {index: block.ttl for index, block in enumerate(blocks) if block.ttl is not None and block.cacheable}
    automatic = request.get("cache_control")
    if automatic is not None:
        last = next((index for index in range(len(blocks) - 1, -1, -1) if blocks[index].cacheable), None)
        if last is not None:
            marks.setdefault(last, automatic.get("ttl") or "5m")
    return sorted(marks.items())


def prefix_digests(request: dict[str, Any], blocks: list[PromptBlock], model: Model, workspace: str) -> list[bytes]:
    """The key of the prefix that ends with each block."""
    output = request.get("output_config") or {}
    seeds = {
        "tools": [workspace, model.id, output.get("format"), output.get("task_budget")],
        "system": [request.get("speed") or "standard", _cites(request)],
        "messages": _message_settings(request, model),
    }
    digest = hashlib.sha256()
    mixed: set[str] = set()
    digests = []
    for block in blocks:
        for zone in ("tools", "system", "messages"):
            if zone not in mixed:
                digest.update(json.dumps(seeds[zone]).encode())
                mixed.add(zone)
            if zone == block.zone:
                break
        digest.update(f"{block.zone}/{block.role}/{len(block.content)}:".encode())
        digest.update(block.content)
        digests.append(digest.digest()[:16])
    return digests


def thinking_setting(request: dict[str, Any], model: Model) -> list[Any]:
    """Thinking as the model runs it, so that a default written out equals one left out."""
    thinking = request.get("thinking") or {"type": model.thinking_default}
    return [thinking["type"], thinking.get("budget_tokens")]


def effort_setting(request: dict[str, Any], model: Model) -> str:
    return str((request.get("output_config") or {}).get("effort") or model.effort_default)


def _message_settings(request: dict[str, Any], model: Model) -> list[Any]:
    choice = request.get("tool_choice") or {"type": "auto"}
    return [
        choice["type"],
        choice.get("name"),
        bool(choice.get("disable_parallel_tool_use")),
        any(_shows_image(block) for _, _, _, block in message_blocks(request)),
        *thinking_setting(request, model),
        effort_setting(request, model),
    ]


def _shows_image(block: dict[str, Any]) -> bool:
    if block["type"] == "tool_result" and isinstance(block.get("content"), list):
        return any(inner.get("type") == "image" for inner in block["content"])
    return bool(block["type"] == "image")


def _cites(request: dict[str, Any]) -> bool:
    return any(
        (block.get("citations") or {}).get("enabled")
        for _, _, _, block in message_blocks(request)
        if block["type"] in ("document", "search_result")
    )


def _prefix_sums(blocks: list[PromptBlock]) -> list[int]:
    sums, total = [], 0
    for block in blocks:
        total += block.tokens
        sums.append(total)
    return sums


def _positions(blocks: list[PromptBlock]) -> list[int]:
    """The position of each block for the lookback: a run of tool calls, or of tool results, is one."""
    positions: list[int] = []
    previous = ""
    for block in blocks:
        same_run = block.kind == previous and block.kind in _RUNS
        positions.append(positions[-1] + (0 if same_run else 1) if positions else 0)
        previous = block.kind
    return positions
