"""How much an answer has delivered so far, told from the size of its deltas: cheaper than parsing every one."""

from __future__ import annotations


def _frame(kind: str, key: str) -> int:
    return len(f'{{"type":"content_block_delta","index":0,"delta":{{"type":"{kind}","{key}":""}}}}')


TEXT_FRAME = _frame("text_delta", "text")
OTHER_FRAMES = (
    (b'"input_json_delta"', _frame("input_json_delta", "partial_json")),
    (b'"thinking_delta"', _frame("thinking_delta", "thinking")),
)
"""How the rarer kinds of delta that carry output are recognised, and their bytes beside the content."""


def delta_size(data: bytes) -> int:
    """Bytes of text, thinking or tool input in one `content_block_delta`, as JSON spells them; 0 for any other kind."""
    if b'"text_delta"' in data:
        return max(0, len(data) - TEXT_FRAME)
    for mark, frame in OTHER_FRAMES:
        if mark in data:
            return max(0, len(data) - frame)
    return 0
