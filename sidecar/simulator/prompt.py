"""A request as the model reads it: one flat row of blocks, tools first, then system text, then messages.

Cache entries, thinking signatures and cache diagnostics are all digests of prefixes of this row. Two requests that
mean the same render the same: a string is one text block, consecutive messages of one role are one turn,
`cache_control` and fields that are null or at their default are no part of it. The order of keys inside tool inputs
and schemas is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sidecar.simulator.models import Model
from sidecar.simulator.signatures import model_mark, read
from sidecar.simulator.tokens import TURN_TOKENS, block_tokens, content_blocks, json_tokens

Zone = Literal["tools", "system", "messages"]
THINKING = frozenset({"thinking", "redacted_thinking"})
_SILENT_DEFAULTS = frozenset({"is_error", "strict", "defer_loading"})
"""Fields that mean the same false and left out."""


@dataclass(frozen=True, slots=True)
class PromptBlock:
    """One block of the prompt. `tokens` includes what its turn or the tool list adds."""

    zone: Zone
    role: str
    kind: str
    path: str
    content: bytes
    """Canonical form, for digests."""
    tokens: int
    ttl: str | None
    """`5m` or `1h` where the client marked this block for caching."""
    marks: int
    """How many `cache_control` it carries, those on what a tool result holds included."""
    cacheable: bool
    """False for thinking and for empty text: they ride along, but cannot be marked."""


def render(request: dict[str, Any], model: Model) -> list[PromptBlock]:
    """The blocks of a valid request as `model` reads them: thinking it strips or cannot read is left out."""
    rendered = [*_tools(request, model), *_system(request)]
    latest_words = _latest_words(request["messages"]) if not model.keeps_thinking else -1
    mine = model_mark(model.id)
    previous_role = ""
    for path, number, role, block in message_blocks(request):
        if block["type"] in THINKING and (number < latest_words or not _readable(block, mine)):
            continue
        turn = TURN_TOKENS if role != previous_role else 0
        previous_role = role
        rendered.append(_block("messages", role, block["type"], path, block, block_tokens(block) + turn))
    return rendered


def message_blocks(request: dict[str, Any]) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
    """Every content block in order: its path, the number of its message, its role, itself."""
    for number, message in enumerate(request["messages"]):
        for index, block in enumerate(content_blocks(message["content"])):
            yield f"messages.{number}.content.{index}", number, message["role"], block


def markers(block: dict[str, Any]) -> list[str]:
    """The lifetimes that `cache_control` asks for, on the block and on what a tool result holds."""
    held = content_blocks(block.get("content")) if block.get("type") == "tool_result" else []
    controls = [inner.get("cache_control") for inner in (block, *held)]
    return [control.get("ttl") or "5m" for control in controls if control is not None]


def canonical(block: Any) -> bytes:
    """The bytes that stand for a block in every digest."""
    return json.dumps(_plain(block), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def bound_thinking(request: dict[str, Any]) -> Iterator[tuple[str, int, dict[str, Any], bytes]]:
    """Every thinking block: path, message number, itself, and the digest of all that is not thinking before it."""
    if not any(block["type"] in THINKING for _, _, _, block in message_blocks(request)):
        return
    digest = hashlib.sha256()
    for tool in request.get("tools") or ():
        digest.update(_framed("tools", canonical(tool)))
    for block in content_blocks(request.get("system")):
        digest.update(_framed("system", canonical(block)))
    for path, number, role, block in message_blocks(request):
        if block["type"] in THINKING:
            yield path, number, block, digest.copy().digest()[:16]
        else:
            digest.update(_framed(role, canonical(block)))


def _framed(place: str, content: bytes) -> bytes:
    return f"{place}/{len(content)}:".encode() + content


def _plain(block: Any) -> Any:
    if not isinstance(block, dict):
        return block
    plain = {
        key: value
        for key, value in sorted(block.items())
        if key != "cache_control" and value is not None and not (key in _SILENT_DEFAULTS and value is False)
    }
    if block.get("type") == "tool_result":
        plain["content"] = [_plain(inner) for inner in content_blocks(block.get("content"))]
    return plain


def _block(zone: Zone, role: str, kind: str, path: str, block: dict[str, Any], tokens: int) -> PromptBlock:
    cacheable = kind not in THINKING and not (kind == "text" and not block["text"])
    lifetimes = markers(block)
    ttl = max(lifetimes, key=("5m", "1h").index, default=None)
    return PromptBlock(zone, role, kind, path, canonical(block), tokens, ttl, len(lifetimes), cacheable)


def _tools(request: dict[str, Any], model: Model) -> Iterator[PromptBlock]:
    for index, tool in enumerate(request.get("tools") or ()):
        definition = {key: value for key, value in tool.items() if key != "cache_control"}
        overhead = model.tool_overhead if index == 0 else 0
        yield _block("tools", "", "tool", f"tools.{index}", tool, json_tokens(definition) + overhead)


def _system(request: dict[str, Any]) -> Iterator[PromptBlock]:
    for index, block in enumerate(content_blocks(request.get("system"))):
        tokens = block_tokens(block) + (TURN_TOKENS if index == 0 else 0)
        yield _block("system", "", block["type"], f"system.{index}", block, tokens)


def _latest_words(messages: list[dict[str, Any]]) -> int:
    """The number of the last user message that holds more than tool results."""
    for number in range(len(messages) - 1, -1, -1):
        blocks = content_blocks(messages[number]["content"])
        if messages[number]["role"] == "user" and any(block["type"] != "tool_result" for block in blocks):
            return number
    return -1


def _readable(block: dict[str, Any], mine: bytes) -> bool:
    """A model reads its own thinking; another's is dropped without an error."""
    provenance = read(block.get("signature") or block.get("data") or "")
    return provenance is None or provenance.model == mine
