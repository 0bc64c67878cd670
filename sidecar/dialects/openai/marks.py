"""Cache marks: Claude takes four `cache_control` in a request and refuses a fifth.

The mark is no part of what is cached, so taking one away from old history costs no hit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidecar.dialects.openai.notes import Notes
from sidecar.exchange import Json

MOST = 4


def first_marked(messages: Sequence[Json], start: int = 0) -> int:
    """The first message with a mark, from `start` on; how many there are where none has."""
    for at in range(start, len(messages)):
        if _marked(messages[at]["content"]):
            return at
    return len(messages)


def keep_four(request: Json, notes: Notes, *, start: int = 0) -> int:
    """Take the surplus marks off: the last one on the tools, the last on the system text and the newest others stay.

    Messages may be another request's too, so what loses a mark is written anew. The first such message; as many as
    there are where none is. Before `start` no message has a mark.
    """
    messages = request["messages"]
    tools = _marked(request["tools"]) if "tools" in request else []
    system = _marked(request["system"]) if "system" in request else []
    said = _marked([block for message in messages[start:] for block in message["content"]]) if messages[start:] else []
    marked = tools + system + said
    # The one at the top level asks for an automatic mark and takes a place like any other.
    places = MOST - (request.get("cache_control") is not None)
    if len(marked) <= places:
        return len(messages)
    by_worth = tools[-1:] + system[-1:] + said[::-1] + system[-2::-1] + tools[-2::-1]
    surplus = {id(block) for block in by_worth[places:]}
    notes.add("cache_control", "ignored", f"{len(marked)} marks, of which Claude takes {places}")
    for zone in ("tools", "system"):
        if request.get(zone):
            request[zone] = _without(request[zone], surplus)
    first = len(messages)
    request["messages"] = written = [*messages]
    for at in range(len(messages) - 1, start - 1, -1):
        content = messages[at]["content"]
        if any(id(block) in surplus for block in _marked(content)):
            written[at] = {**messages[at], "content": _without(content, surplus)}
            first = at
    return first


def _marked(blocks: Iterable[Json]) -> list[Json]:
    found = []
    for block in blocks:
        if "content" in block and block["type"] == "tool_result" and type(block["content"]) is list:
            found += _marked(block["content"])
        if "cache_control" in block:
            found.append(block)
    return found


def _without(blocks: Iterable[Json], surplus: set[int]) -> list[Json]:
    """The blocks, those of these ids without their mark."""
    written = []
    for block in blocks:
        kept = block
        if id(block) in surplus:
            kept = {key: value for key, value in block.items() if key != "cache_control"}
        if "content" in block and block["type"] == "tool_result" and type(block["content"]) is list:
            inner = _without(block["content"], surplus)
            if any(one is not other for one, other in zip(inner, block["content"], strict=True)):
                kept = {**kept, "content": inner}
        written.append(kept)
    return written
