"""Rules about `cache_control`: how many marks, where, and in which order of lifetimes."""

from __future__ import annotations

from typing import Any

from sidecar.simulator.caching import effective_marks
from sidecar.simulator.prompt import PromptBlock
from sidecar.simulator.shapes import refuse

MAX_MARKS = 4


def check_marks(request: dict[str, Any], blocks: list[PromptBlock]) -> None:
    """Raises ApiError for marks that the API does not take."""
    explicit = sum(block.marks for block in blocks)
    automatic = request.get("cache_control")
    if automatic is not None:
        last = next((block for block in reversed(blocks) if block.cacheable), None)
        if last is None or last.ttl is None:
            explicit += 1
        elif last.ttl != (automatic.get("ttl") or "5m"):
            raise refuse("cache_control", "the last block already has a cache_control with a different ttl")
    if explicit > MAX_MARKS:
        raise refuse("", f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {explicit}.")
    short_lived = False
    for index, ttl in effective_marks(request, blocks):
        if ttl == "1h" and short_lived:
            sentence = (
                "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks "
                "are processed in the following order: `tools`, `system`, `messages`."
            )
            raise refuse(f"{blocks[index].path}.cache_control.ttl", sentence)
        short_lived = short_lived or ttl == "5m"
