"""Token counts: one fixed rule, so that a bill can be worked out by hand.

Text counts one token for every 2.7 bytes of UTF-8, rounded up per block; that is near what today's Claude models do
with code and prose. Everything else is a sum of such texts and small constants. A block's count depends on nothing
but the block, so the count of a prefix is the sum of its blocks.
"""

from __future__ import annotations

import json
from typing import Any

from sidecar.simulator.signatures import thinking_tokens_of

TURN_TOKENS = 4
"""Added to the first block of every turn, for the role around it."""
TOOL_USE_TOKENS = 12
TOOL_RESULT_TOKENS = 8
URL_IMAGE_TOKENS, MAX_IMAGE_TOKENS = 1_200, 1_600
URL_DOCUMENT_TOKENS = 3_000


def text_tokens(text: str) -> int:
    """Tokens of a text: its UTF-8 bytes divided by 2.7, rounded up."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size * 10 + 26) // 27


def fitting_text(text: str, tokens: int) -> str:
    """The longest beginning of `text` that counts at most `tokens`."""
    if text_tokens(text) <= tokens:
        return text
    return text.encode("utf-8", "surrogatepass")[: tokens * 27 // 10].decode("utf-8", "ignore")


def json_tokens(value: Any) -> int:
    """Tokens of a JSON value, written compactly."""
    return text_tokens(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def block_tokens(block: dict[str, Any]) -> int:
    """Tokens of one content block, of a request or of an answer."""
    match block.get("type"):
        case "text":
            return text_tokens(block["text"])
        case "thinking":
            hidden = thinking_tokens_of(block["signature"])
            return text_tokens(block["thinking"]) if hidden is None else hidden
        case "redacted_thinking":
            hidden = thinking_tokens_of(block["data"])
            return text_tokens(block["data"]) if hidden is None else hidden
        case "tool_use" | "server_tool_use":
            return TOOL_USE_TOKENS + text_tokens(block["name"]) + json_tokens(block["input"])
        case "tool_result":
            return TOOL_RESULT_TOKENS + sum(map(block_tokens, content_blocks(block.get("content"))))
        case "image":
            return _image_tokens(block["source"])
        case "document":
            return _document_tokens(block)
        case _:
            return json_tokens(block)


def content_blocks(content: Any) -> list[dict[str, Any]]:
    """A message's content as blocks: a string is short for one text block."""
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _image_tokens(source: dict[str, Any]) -> int:
    if source["type"] != "base64":
        return URL_IMAGE_TOKENS
    return min(MAX_IMAGE_TOKENS, 64 + len(source["data"]) // 85)


def _document_tokens(block: dict[str, Any]) -> int:
    source = block["source"]
    around = text_tokens(block.get("title") or "") + text_tokens(block.get("context") or "")
    match source["type"]:
        case "text":
            return around + text_tokens(source["data"])
        case "content":
            return around + sum(map(block_tokens, content_blocks(source["content"])))
        case "base64":
            return around + 256 + len(source["data"]) // 40
        case _:
            return around + URL_DOCUMENT_TOKENS
