"""What became of a session's requests on their way: is every character there, and did every prefix stay?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Literal

import orjson

from sidecar.exchange import Json
from sidecar.replay.expanding import expand
from sidecar.simulator.caching import LIFETIME
from sidecar.simulator.prompt import PromptBlock

Outcome = Literal["kept", "changed by the client", "rewritten cold", "broken"]
"""Of a prefix. Only the last one costs: where nothing is in the prompt cache any more, writing it anew is free."""

Contents = list[tuple[str, str, bytes]]
"""Zone, role and canonical content of every block: what a prompt cache compares. Markers are no part of it."""


SHAPE: Final = frozenset({"role", "type"})
"""Fields that say what a piece is, and nothing of what anybody said."""


class Prefixes:
    """The newest request of one conversation, as the client meant it and as it arrived at Claude."""

    def __init__(self) -> None:
        self._meant: Contents = []
        self._arrived: Contents = []
        self._at = 0.0
        self._lifetime = 0.0
        """Of the longest-lived marker so far, in seconds."""

    def look(self, meant: list[PromptBlock], arrived: list[PromptBlock], at: float) -> Outcome:
        """What became of the prefix that the request before had sent, in a request at `at` (seconds)."""
        before, sent = self._meant, self._arrived
        cold = at >= self._at + self._lifetime
        self._meant, self._arrived, self._at = _contents(meant), _contents(arrived), at
        lifetimes = [LIFETIME[block.ttl] for block in arrived if block.ttl is not None]
        self._lifetime = max([self._lifetime, *lifetimes])
        if self._arrived[: len(sent)] == sent:
            return "kept"
        if self._meant[: len(before)] != before:
            return "changed by the client"
        return "rewritten cold" if cold else "broken"


def _contents(blocks: list[PromptBlock]) -> Contents:
    return [(block.zone, block.role, block.content) for block in blocks]


def characters_lost(meant: Json, arrived: Json) -> int:
    """Characters of `meant` that nobody could tell from what arrived."""
    wanted = _pieces(meant)
    if not wanted - _pieces(arrived):
        return 0
    there = _pieces(expand(arrived))
    missing = Counter(_texts([*(wanted - there).elements()]))
    unused = Counter(_texts([*(there - wanted).elements()]))
    instead = [*(unused - missing).elements()]
    return sum(len(text) - _found(text, instead) for text in (missing - unused).elements())


def _pieces(request: Json) -> Counter[bytes]:
    """Tools, system text and messages without cache markers, each as JSON: most need no closer look."""
    system = request.get("system") or ()
    parts = [*(request.get("tools") or ()), *([system] if isinstance(system, str) else system), *request["messages"]]
    return Counter(orjson.dumps(_unmarked(part)) for part in parts)


def _unmarked(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if isinstance(part.get("content"), list):
        part = {**part, "content": [_unmarked(block) for block in part["content"]]}
    return {name: value for name, value in part.items() if name != "cache_control"}


def _found(text: str, added: list[str]) -> int:
    """Characters of a text that stand in one that takes its place: a cut one still has its beginning and its end."""
    return max((_ends(text, other) for other in added), default=0)


def _ends(text: str, other: str) -> int:
    most = min(len(text), len(other))
    head = next((index for index in range(most) if text[index] != other[index]), most)
    tail = next((index for index in range(most - head) if text[-1 - index] != other[-1 - index]), most - head)
    return head + tail


def _texts(value: object) -> Iterator[str]:
    """Every text in pieces of a request, wherever it stands; what kind of piece it is is none."""
    if isinstance(value, bytes):
        yield from _texts(orjson.loads(value))
    elif isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in SHAPE:
                yield from _texts(item)
