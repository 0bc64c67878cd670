"""Where the cache markers go: at most four in a request, the client's own included.

Rules of the documentation: a marker finds earlier entries at its own position and up to 19 positions before it, where a
run of tool calls is one position and so is a run of tool results; one-hour markers stand before five-minute ones; none
on thinking or on empty text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from sidecar.conversation import THINKING, Lifetime
from sidecar.economy.warmth import Entry
from sidecar.exchange import Json

MOST: Final = 4
REACH: Final = 19
"""Positions before a marker where it still finds an entry."""
RUNS: Final = frozenset({"tool_use", "tool_result"})

Wanted = tuple[int, Lifetime]
"""Index of a block, and how long the prefix that ends there should live."""


def can_be_marked(block: Json | None) -> bool:
    """Whether Claude takes a marker on this block; None is one that is left out."""
    if block is None:
        return False
    kind = block.get("type")
    if kind != "text":
        return kind not in THINKING
    text = str(block.get("text") or "")
    return bool(text) and not text.isspace()


def within_reach(newest: int, kind: Callable[[int], str]) -> int:
    """The first of the blocks that a marker on `newest` looks at. A run of calls, or of results, is one position."""
    steps = 0
    behind = kind(newest)
    for index in range(newest - 1, -1, -1):
        before, behind = behind, kind(index)
        if behind != before or behind not in RUNS:
            steps += 1
            if steps > REACH:
                return index + 1
    return 0


def wanted(
    length: int,
    kind: Callable[[int], str],
    markable: Callable[[int], bool],
    warm: Sequence[Entry],
    *,
    tail: Lifetime,
    head: Wanted | None,
    tools: int | None = None,
) -> list[Wanted]:
    """The markers that a request of `length` blocks would like, the one it needs most first.

    The newest end, so that the next request finds it; the entry that this request goes on from, where it is too far
    back to be found from there; the newest entry that lives an hour, to keep it alive and in reach; one in between
    where much is new; the head, for other conversations; the entry in reach, against surprises; and the tools alone,
    for other system texts. `warm` are the entries there are, `head` and `tools` the last of each to be marked. Looks at
    the end of the request only: its work does not grow with the history.
    """
    newest = next((index for index in range(length - 1, -1, -1) if markable(index)), None)
    if newest is None:
        return []
    ends = [(one.until - 1, one.ttl) for one in reversed(warm) if one.until - 1 <= newest]
    goes_on = next(([end] for end in ends if markable(end[0])), [])
    hour = next(([end] for end in ends if end[1] == "1h" and markable(end[0])), [])
    marks: list[Wanted] = [(newest, tail)]
    is_near = goes_on and newest - goes_on[0][0] <= REACH  # whatever runs there are
    reach = 0 if is_near else within_reach(newest, kind)
    far = not goes_on or goes_on[0][0] < reach
    if far:
        marks += goes_on
    marks += hour
    if far and reach:
        marks += [(index, "5m") for index in range(reach, newest) if markable(index)][:1]
    if head is not None:
        marks.append(head)
    marks += goes_on
    if tools is not None:
        marks.append((tools, head[1] if head else "5m"))
    return marks


def place(marks: Iterable[Wanted], client: Mapping[int, str], *, free: int) -> dict[int, Lifetime]:
    """Our markers: as many of the wanted ones as there are free places, none where the client has its own.

    Everything before the last one-hour marker gets an hour too. That costs nothing: what lies before it is read or
    written for an hour anyway. Behind a client's five-minute marker no hour is possible.
    """
    chosen: dict[int, Lifetime] = {}
    for index, ttl in marks:
        if len(chosen) >= free:
            break
        if index not in client:
            chosen.setdefault(index, ttl)
    if "1h" not in chosen.values() and "1h" not in client.values():
        return dict.fromkeys(sorted(chosen), "5m")
    first_short = min((index for index, ttl in client.items() if ttl != "1h"), default=None)
    hours = [index for index, ttl in {**chosen, **client}.items() if ttl == "1h"]
    last_hour = max((index for index in hours if first_short is None or index < first_short), default=-1)
    return {index: "1h" if index <= last_hour else "5m" for index in sorted(chosen)}


def surplus(client: Mapping[int, str], *, tools: int, system: int, places: int) -> list[int]:
    """Which of the client's own markers are too many: the last on the tools, the last on the system text and the newest
    others stay. `tools` and `system` are where those zones end."""
    on_tools = [index for index in sorted(client) if index < tools]
    on_system = [index for index in sorted(client) if tools <= index < system]
    on_messages = [index for index in sorted(client) if index >= system]
    by_worth = on_tools[-1:] + on_system[-1:] + on_messages[::-1] + on_system[-2::-1] + on_tools[-2::-1]
    return sorted(by_worth[places:])
