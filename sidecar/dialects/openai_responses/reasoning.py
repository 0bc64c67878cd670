"""`encrypted_content` of a reasoning item: Claude's own blocks, sealed by Claude's signature and not by us.

    cgw1. | base64url of the JSON of the blocks

A client that sends the item back gives Claude its thinking again, byte for byte, the empty texts included.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import orjson

from sidecar.exchange import Json

MARK: Final = "cgw1."

SIGNED_BY: Final = {"thinking": "signature", "redacted_thinking": "data"}
"""Kinds of blocks that Claude takes back, and the field that proves each."""

WORDS: Final = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
"""The fields of each, all of them text."""


def is_signed(block: Json) -> bool:
    """Whether Claude would take it back. What `max_tokens` cut has no signature yet."""
    return bool(block.get(SIGNED_BY[block["type"]]))


def sealed(blocks: Sequence[Json]) -> str:
    return MARK + base64.urlsafe_b64encode(orjson.dumps(list(blocks))).decode()


def opened(content: str) -> list[Json] | None:
    """The blocks; None for what is not ours, or not whole."""
    if not content.startswith(MARK):
        return None
    try:
        blocks = orjson.loads(base64.b64decode(content.removeprefix(MARK), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(blocks, list) or not all(_is_whole(block) for block in blocks):
        return None
    return blocks


def _is_whole(block: object) -> bool:
    if not isinstance(block, dict) or not isinstance(kind := block.get("type"), str) or kind not in WORDS:
        return False
    return block.keys() == {"type", *WORDS[kind]} and all(isinstance(block[word], str) for word in WORDS[kind])
