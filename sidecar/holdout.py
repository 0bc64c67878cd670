"""Which conversations go without the layers, so that what the layers are worth can be measured."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

STEPS: Final = 1 << 32


def in_holdout(conversation: str, percent: float) -> bool:
    """Whether a conversation belongs to the bypass arm: told from its id alone, so always the same."""
    if percent <= 0:
        return False
    point = int.from_bytes(blake2b(conversation.encode(), digest_size=4, person=b"holdout").digest())
    return point < STEPS * percent / 100
