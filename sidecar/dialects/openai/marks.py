"""Cache marks: Claude takes four `cache_control` in a request and refuses a fifth.

The mark is no part of what is cached, so taking one away from old history costs no hit.
"""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.dialects.openai.notes import Notes
from sidecar.exchange import Json

MOST = 4


def keep_four(request: Json, notes: Notes) -> None:
    """Take the surplus marks off: the last one on the tools, the last on the system text and the newest others stay."""
    tools = _marked(request.get("tools", []))
    system = _marked(request.get("system", []))
    messages = _marked(block for message in request["messages"] for block in message["content"])
    marked = tools + system + messages
    # The one at the top level asks for an automatic mark and takes a place like any other.
    places = MOST - (request.get("cache_control") is not None)
    if len(marked) <= places:
        return
    by_worth = tools[-1:] + system[-1:] + messages[::-1] + system[-2::-1] + tools[-2::-1]
    for block in by_worth[places:]:
        del block["cache_control"]
    notes.add("cache_control", "ignored", f"{len(marked)} marks, of which Claude takes {places}")


def _marked(blocks: Iterable[Json]) -> list[Json]:
    found = []
    for block in blocks:
        if "content" in block and block["type"] == "tool_result" and type(block["content"]) is list:
            found += _marked(block["content"])
        if "cache_control" in block:
            found.append(block)
    return found
