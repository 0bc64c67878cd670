"""How much an answer has delivered so far, told from the size of its deltas: cheaper than parsing every one."""

from __future__ import annotations

from sidecar.sse import DELTA, Events


def _frame(kind: str, key: str) -> int:
    return len(f'{{"type":"content_block_delta","index":0,"delta":{{"type":"{kind}","{key}":""}}}}')


TEXT_FRAME = _frame("text_delta", "text")
BESIDE_DATA = len(DELTA) + len(b"\n\n")
TEXT = b'"text_delta"'
OTHER_FRAMES = (
    (b'"input_json_delta"', _frame("input_json_delta", "partial_json")),
    (b'"thinking_delta"', _frame("thinking_delta", "thinking")),
)
"""How the rarer kinds of delta that carry output are recognised, and their bytes beside the content."""


def delta_size(data: bytes) -> int:
    """Bytes of text, thinking or tool input in one `content_block_delta`, as JSON spells them; 0 for any other kind."""
    if TEXT in data:
        return max(0, len(data) - TEXT_FRAME)
    for mark, frame in OTHER_FRAMES:
        if mark in data:
            return max(0, len(data) - frame)
    return 0


def deltas_size(events: Events) -> int | None:
    """The same for events that came together, where all of them are deltas that carry output; None where one is
    anything else. No event is looked at by itself: what is counted here cannot stand inside JSON."""
    raw = events.raw
    count = raw.count(b"\n\n")
    if raw.count(DELTA) != count or not count or b"\r" in raw:
        return None
    of_text = raw.count(TEXT)
    size = len(raw) - count * BESIDE_DATA - of_text * TEXT_FRAME
    others = 0
    if of_text != count:
        for mark, frame in OTHER_FRAMES:
            found = raw.count(mark)
            others += found
            size -= found * frame
    return max(0, size) if of_text + others == count else None
