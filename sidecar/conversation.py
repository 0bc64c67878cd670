"""A request as a row of blocks, and what is remembered of its conversation: what was sent stays sent.

A request is flattened into *positions*: every tool, every system block, every content block of every message, in the
order in which Claude reads them. A rolling hash over (project, position by position) names each prefix. A `Line` is one
conversation as it went upstream; a new request's longest prefix that a line knows is its *frozen zone* and goes out as
it went before, whatever the settings are now. The rest is the *live zone*, the only place where layers act.

Pure values: nothing here knows a store or a server. Sizes are bytes of compact JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b, sha256
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import orjson

from sidecar.exchange import Json

if TYPE_CHECKING:
    from sidecar.economy.warmth import Warmth

Zone = Literal["tools", "system", "messages"]
Lifetime = Literal["5m", "1h"]

LIFETIME_SECONDS: Final[Mapping[str, float]] = {"5m": 300.0, "1h": 3600.0}
THINKING: Final = frozenset({"thinking", "redacted_thinking"})
DIGEST_BYTES: Final = 16
MOST_CHANGED: Final = 8
"""A conversation with more changed blocks than this is another one."""
LONGEST_KEPT: Final = 256 * 1024
"""Bytes of a block that is kept as it was: pictures are not."""
SENT_WEIGHT: Final = 500
"""Bytes that a position takes in memory besides its text."""
LINE_WEIGHT: Final = 2_500
"""And a line, with the keys that lead to it."""
REQUEST_WEIGHT: Final = 500
"""And what is known of a request."""
REQUESTS_KEPT: Final = 64
PROJECTS: Final = 256
"""Of which it is remembered what their hashes begin with."""
DEFAULT_BYTES_A_TOKEN: Final = 2.9
"""Of compact JSON, where no usage has taught better."""


class Position(NamedTuple):
    """One block as the client wrote it, without its cache marker."""

    zone: Zone
    role: str
    message: int
    """Index in `messages`; -1 for tools and system text."""
    block: Json
    raw: bytes
    """The block as compact JSON, keys in the client's order."""
    digest: bytes
    ttl: str | None
    """The lifetime of the client's own cache marker, on the block or inside a tool result."""
    kind: str
    """The block's type; `tool` where it has none."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What went upstream in the place of one of the client's blocks."""

    blocks: tuple[Json, ...]
    """Empty where the block was left out."""
    behind: tuple[Json, ...] = ()
    """Text blocks of the gateway's own that stand behind it; always at the end of a user's turn."""
    as_system: bool = False
    """Whether `behind` went as a system message of its own."""
    saved: tuple[tuple[str, int], ...] = ()
    """(layer, bytes it saved); negative where it added."""
    ahead: tuple[Json, ...] = ()
    """Claude's own signed thinking in front of an assistant's block, which its client does not send back."""
    ahead_size: int = 0
    """What `ahead` counts for, in bytes of text of as many tokens: a signature is longer than what it signs, or
    shorter."""
    split: bool = False
    """Whether `blocks` are the client's one text in two: a cache marker goes on the first, which is stable."""

    @property
    def size(self) -> int:
        """Bytes sent for it."""
        return sum(len(orjson.dumps(block)) for block in (*self.blocks, *self.behind)) + self.ahead_size

    def without_ahead(self) -> Edit:
        return replace(self, ahead=(), ahead_size=0)


class Sent(NamedTuple):
    """One position of a conversation as it went upstream."""

    digest: bytes
    """Of the client's block as it last wrote it: after a repair another text than `raw`."""
    raw: bytes
    """The client's block as it was when it first went upstream; empty where it is too large to keep."""
    zone: Zone
    role: str
    size: int
    """Bytes sent for it."""
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """One request that Claude accepted: what is in the prompt cache since."""

    now: float
    """Epoch seconds at its start: lifetimes count from there."""
    model: str
    until: int
    """How many positions it had."""
    tokens: int
    """All of its prompt, from returned usage."""
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0
    marks: Mapping[int, str] = field(default_factory=dict)
    """Marked positions and their lifetimes."""
    answer: str | None = None
    """Claude's id of its answer to it."""


@dataclass(slots=True)
class Line:
    """One conversation as it went upstream. A fork of it is a line of its own."""

    id: str
    project: str
    client: str
    sent: list[Sent] = field(default_factory=list)
    chain: list[bytes] = field(default_factory=list)
    """The rolling hash behind each position."""
    sizes: list[int] = field(default_factory=list)
    """Bytes sent up to and with each position."""
    edited: list[int] = field(default_factory=list)
    """Positions that did not go as the client wrote them, ascending."""
    requests: list[Accepted] = field(default_factory=list)
    """The newest `REQUESTS_KEPT`, oldest first."""
    session: str | None = None
    """What the client itself calls the conversation, where it does."""
    holdout: bool = False
    references_off: bool = False
    """Since a marker of ours came back inside a tool call."""
    thinking_off: bool = False
    """Since Claude refused thinking that was put back."""
    last_message: str | None = None
    """Claude's id of its last answer."""
    turns: int = 0
    warm_until: float = 0.0
    """Epoch seconds, where it is kept warm in a pause; not known any more after a restart."""
    terms: Mapping[str, str] | None = field(default=None, compare=False)
    """What its newest request asked for beside the prompt; not known any more after a restart."""
    renewed: dict[int, bytes] = field(default_factory=dict)
    """What `renew` was told, all in all."""
    weight: int = LINE_WEIGHT
    """Bytes that it takes in memory, about."""
    warmth: Warmth | None = field(default=None, compare=False, repr=False)
    """What `economy.warmth` goes on from."""
    _known_tokens: tuple[object, int, list[tuple[int, int]]] | None = field(default=None, compare=False, repr=False)

    @property
    def last_used(self) -> float:
        return self.requests[-1].now if self.requests else 0.0

    def extend(self, sent: Iterable[Sent], chain: Sequence[bytes] | None = None) -> None:
        """`chain` is the whole one of the request that they end, where there is one."""
        start, total = len(self.sent), self.sizes[-1] if self.sizes else 0
        self.sent += sent
        for index, one in enumerate(self.sent[start:], start):
            total += one.size
            self.sizes.append(total)
            self.weight += len(one.raw) + SENT_WEIGHT
            if one.edit is not None:
                self.edited.append(index)
                self.weight += one.size
        if chain is not None and chain[start - 1 : start] == self.chain[-1:]:
            self.chain += chain[start:]
        else:
            digests = [one.digest for one in self.sent[start:]]
            self.chain += rolling_on(self.chain[-1] if start else seed(self.project), digests)

    def renew(self, changed: Mapping[int, bytes]) -> None:
        """The client's own text changed at these positions, what was sent did not."""
        for index, digest in changed.items():
            old = self.sent[index]
            edit = old.edit or Edit((orjson.loads(old.raw),))
            self.sent[index] = Sent(digest, old.raw, old.zone, old.role, old.size, edit)
        self.edited = sorted({*self.edited, *changed})
        self.renewed.update(changed)
        self.chain = rolling(self.project, [sent.digest for sent in self.sent])

    def accept(self, accepted: Accepted) -> None:
        self.requests.append(accepted)
        self.turns += 1
        if len(self.requests) <= REQUESTS_KEPT:
            self.weight += REQUEST_WEIGHT
        del self.requests[:-REQUESTS_KEPT]

    def recall(self, requests: Iterable[Accepted]) -> None:
        """What is known of a new line's requests."""
        self.requests = [*requests]
        self.weight += REQUEST_WEIGHT * len(self.requests)

    def fork(self, line_id: str, at: int) -> Line:
        """A new line that shares the first `at` positions and what is known of their cache.

        What was decided for the conversation holds for the fork only where they share more than tools and system text.
        """
        fork = Line(line_id, self.project, self.client)
        if at and self.sent[at - 1].zone == "messages":
            fork.session, fork.holdout = self.session, self.holdout
            fork.references_off, fork.thinking_off = self.references_off, self.thinking_off
        fork.extend(self.sent[:at], self.chain[:at])
        fork.renewed = {index: digest for index, digest in self.renewed.items() if index < at}
        fork.recall(one for one in self.requests if one.until <= at)
        return fork

    def is_cold(self, now: float) -> bool:
        """Whether nothing of it can be in the prompt cache any more: hits refresh, so the longest lifetime counts from
        the last request."""
        used = self.last_used
        if not self.requests or now < used + LIFETIME_SECONDS["5m"] or now < self.warm_until:
            return False
        return now >= used + LIFETIME_SECONDS["1h"] or all("1h" not in one.marks.values() for one in self.requests)

    def known_tokens(self) -> list[tuple[int, int]]:
        """(positions, tokens) at the beginning and at the ends of accepted requests, ascending, as returned usage says.
        Not to be written to: everybody gets the same, until there is a request more."""
        newest = self.requests[-1] if self.requests else None
        if self._known_tokens is None or self._known_tokens[:2] != (newest, len(self.sent)):
            until = len(self.sent)
            ends = {one.until: one.tokens for one in self.requests if one.until <= until}
            self._known_tokens = newest, until, [(0, 0), *sorted(ends.items())]
        return self._known_tokens[2]


@dataclass(frozen=True, slots=True)
class Changed:
    """A block that the client changed while all else in the conversation stayed."""

    index: int
    frozen: Json
    """As it was first sent upstream."""
    now: Json
    """As the client writes it now."""


class Match(NamedTuple):
    """How much of a request a line knows."""

    line: Line
    common: int
    """Leading positions that are the same."""
    changed: tuple[int, ...] = ()
    """Positions that differ while all else in the line's chain matches; empty where more than that differs."""

    @property
    def whole(self) -> bool:
        """Whether the request goes on from the line's end, but for what changed."""
        return self.common == len(self.line.sent) or bool(self.changed)


ZONES: Final = ("tools", "system", "messages")


@dataclass(frozen=True, slots=True)
class Flat:
    """A request as positions, and what stands in them."""

    positions: list[Position]
    chain: list[bytes]
    """The rolling hash behind each position."""
    zone_ends: tuple[int, int]
    """Where the tools end and where the system text does."""
    ends: list[int]
    """Behind the last position of each message."""
    marks: dict[int, str]
    """The client's own cache markers."""
    thinks: bool
    """Whether there is thinking in it."""
    tools: object
    system: object
    """As they were written."""


def flattened(request: Json, project: str, before: Flat | None = None, known: int = 0) -> Flat | None:
    """The request as positions; None for one whose shape is not Anthropic's, or that is nested deeper than can be
    written: the API is to judge it as it is.

    `before` is an earlier request of the same project, of which the first `known` messages are the very same objects.
    """
    try:
        orjson.dumps({name: value for name, value in request.items() if name not in ZONES})
        return _flattened(request, project, before, known)
    except (KeyError, TypeError, AttributeError, orjson.JSONEncodeError):
        return None


def positions_of(request: Json) -> list[Position] | None:
    flat = flattened(request, "")
    return None if flat is None else flat.positions


def _flattened(request: Json, project: str, before: Flat | None, known: int) -> Flat:
    tools, system, messages = request.get("tools"), request.get("system"), request["messages"] or ()
    if before is not None and tools is before.tools and system is before.system:
        zone_ends = before.zone_ends
        positions, chain = before.positions[: zone_ends[1]], before.chain[: zone_ends[1]]
        marks = {index: ttl for index, ttl in before.marks.items() if index < zone_ends[1]}
    else:
        positions = [_position("tools", "", -1, tool) for tool in tools or ()]
        end_of_tools = len(positions)
        positions += [_position("system", "", -1, block) for block in _blocks(system)]
        zone_ends = end_of_tools, len(positions)
        chain = rolling(project, [at.digest for at in positions])
        marks = {index: at.ttl for index, at in enumerate(positions) if at.ttl is not None}
    (_, head), ends, thinks = zone_ends, [], False
    if before is not None and known and head == before.zone_ends[1] and chain[-1:] == before.chain[head - 1 : head]:
        ends = before.ends[:known]
        positions += before.positions[head : ends[-1]]
        chain += before.chain[head : ends[-1]]
        marks |= {index: ttl for index, ttl in before.marks.items() if head <= index < ends[-1]}
        thinks = before.thinks and holds_thinking(positions)
    else:
        known = 0
    start = len(positions)
    for number, message in enumerate(messages[known:], known):
        role = message.get("role")
        if not isinstance(role, str):
            raise TypeError("a message without a role")
        for block in _blocks(message.get("content")):
            positions.append(_position("messages", role, number, block))
        ends.append(len(positions))
    new = positions[start:]
    chain += rolling_on(chain[-1] if chain else seed(project), [at.digest for at in new])
    marks |= {index: at.ttl for index, at in enumerate(new, start) if at.ttl is not None}
    return Flat(positions, chain, zone_ends, ends, marks, thinks or holds_thinking(new), tools, system)


def holds_thinking(positions: Iterable[Position]) -> bool:
    return any(at.role == "assistant" and at.kind in THINKING for at in positions)


def _blocks(content: object) -> Sequence[Json]:
    if content is None:
        return ()
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    if not isinstance(content, list):
        raise TypeError("content that is no text and no list")
    return content


def _position(zone: Zone, role: str, message: int, block: Json) -> Position:
    _check(block)
    if "cache_control" in block or block.get("type") == "tool_result":
        bare, ttl = unmarked(block)
    else:
        bare, ttl = block, None
    raw = bytes(
        memoryview(orjson.dumps(bare))
    )  # it is kept, and orjson's own bytes take up to 8 KB more than they hold
    digest = sha256(b"%b\0%b" % ((role or zone).encode(), raw), usedforsecurity=False).digest()[:DIGEST_BYTES]
    return Position(zone, role, message, bare, raw, digest, ttl, block.get("type") or "tool")


def _check(block: Json) -> None:
    """What everybody relies on who reads a block. Raises TypeError, KeyError, AttributeError."""
    kind = block.get("type")
    if kind == "text":
        if not isinstance(block["text"], str):
            raise TypeError("text that is none")
    elif kind == "tool_result":
        content = block.get("content")
        if isinstance(content, list):
            for part in content:
                _check(part)
        elif not isinstance(content, str | None):
            raise TypeError("a result that is no text and no list")
    elif not isinstance(kind, str | None):
        raise TypeError("a block whose type is no word")


def unmarked(block: Json) -> tuple[Json, str | None]:
    """The block without cache markers, and the lifetime of the one it had."""
    ttl = None
    if "cache_control" in block:
        ttl = _lifetime(block["cache_control"])
        block = {key: value for key, value in block.items() if key != "cache_control"}
    inner = block.get("content") if block.get("type") == "tool_result" else None
    if isinstance(inner, list) and any("cache_control" in part for part in inner):
        ttl = ttl or next(_lifetime(part["cache_control"]) for part in inner if "cache_control" in part)
        parts = [{key: value for key, value in part.items() if key != "cache_control"} for part in inner]
        block = {**block, "content": parts}
    return block, ttl


def _lifetime(control: object) -> str | None:
    if control is None:
        return None
    return str(control.get("ttl") or "5m") if isinstance(control, dict) else "5m"


@lru_cache(maxsize=PROJECTS)
def seed(project: str) -> bytes:
    return blake2b(project.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def _link(link: bytes, digest: bytes) -> bytes:
    return blake2b(link + digest, digest_size=DIGEST_BYTES).digest()


def rolling(project: str, digests: Iterable[bytes]) -> list[bytes]:
    """The hash of every prefix."""
    return rolling_on(seed(project), digests)


def rolling_on(link: bytes, digests: Iterable[bytes]) -> list[bytes]:
    """The same behind a prefix whose hash is known."""
    return [link := _link(link, digest) for digest in digests]


def common_prefix(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """How many leading links two chains share. A link stands for all before it, so halving finds it."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[middle - 1] == other[middle - 1]:
            low = middle
        else:
            high = middle - 1
    return low


def match(line: Line, positions: Sequence[Position], chain: Sequence[bytes]) -> Match:
    common = common_prefix(line.chain, chain)
    # A request that does not go on past the line's end may be the start of another conversation in the same words.
    if common == len(line.sent) or len(positions) <= len(line.sent):
        return Match(line, common)
    changed = []
    for index in range(common, len(line.sent)):
        sent, position = line.sent[index], positions[index]
        if sent.digest != position.digest:
            comparable = sent.zone == position.zone != "tools" and sent.role == position.role and sent.raw
            if not comparable:
                return Match(line, common)
            changed.append(index)
            if len(changed) > MOST_CHANGED:
                return Match(line, common)
    return Match(line, common, tuple(changed))


def share_bytes(line: Line, positions: list[Position], count: int) -> None:
    """Of a conversation that was read anew, the bytes of its blocks need not be kept twice: the first `count` positions
    take those of the line where they are equal."""
    for index, sent in enumerate(line.sent[:count]):
        at = positions[index]
        if at.raw is not sent.raw and at.raw == sent.raw:
            positions[index] = at._replace(raw=sent.raw)


def in_frozen_order(line: Line, positions: list[Position]) -> list[Position]:
    """The same tools in another order are put back into the order in which they were sent."""
    tools = [*takewhile(_is_tool, positions)]
    frozen = [sent.digest for sent in takewhile(_is_tool, line.sent)]
    now = [position.digest for position in tools]
    if now == frozen or len(set(now)) != len(now) or set(now) != set(frozen):
        return positions
    by_digest = {position.digest: position for position in tools}
    return [*(by_digest[digest] for digest in frozen), *positions[len(tools) :]]


def _is_tool(one: Position | Sent) -> bool:
    return one.zone == "tools"


def texts_of(block: Json) -> list[str]:
    """The texts of a block that a layer may edit: a text block's, and those of a tool's result."""
    if block.get("type") == "text":
        text = block.get("text")
        return [text] if isinstance(text, str) else []
    if block.get("type") != "tool_result":
        return []
    content = block.get("content")
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else ()
    return [part["text"] for part in parts if _is_text(part)]


def with_texts(block: Json, texts: Sequence[str]) -> Json:
    """The block with other texts, as many as `texts_of` gave."""
    if block.get("type") == "text":
        return {**block, "text": texts[0]}
    content = block["content"]
    if isinstance(content, str):
        return {**block, "content": texts[0]}
    rest = iter(texts)
    return {**block, "content": [{**part, "text": next(rest)} if _is_text(part) else part for part in content]}


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
