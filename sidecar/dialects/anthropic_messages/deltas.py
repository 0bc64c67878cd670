"""Deltas by the hundred: how much they deliver, and their texts as they are written, told without parsing every one."""

from __future__ import annotations

import re
from typing import Final

from sidecar.sse import DELTA


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


def deltas_size(raw: bytes) -> int | None:
    """The same for whole events that came together, where all of them are deltas that carry output; None where one is
    anything else. No event is looked at by itself: what is counted here cannot stand inside JSON."""
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


TEXT_FIELD = b'text_delta","text'
"""The kind of a delta of text, with the name of its field: as `plain_deltas` tells it."""

_DELTA = (
    rb'event: content_block_delta\ndata: \{"type":"content_block_delta","index":(\d{1,9}),"delta":'
    rb'\{"type":"(text_delta","text|thinking_delta","thinking|input_json_delta","partial_json)":'
    rb'("[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")'
    rb" *+\} *+\}\n\n"
)
"""Surrogates are left to the parser: half of one is no text."""

_PLAIN_DELTA = re.compile(_DELTA)

_PLAIN_EVENT = re.compile(_DELTA + rb"|event: ?[^\n ][^\n]*\ndata: ?([^\n ][^\n]*)\n\n")

LINES: Final = 3
"""Of a plain event, the blank one included."""


def plain_deltas(raw: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    """Content index, kind (with the name of its field) and text (as JSON, quotes included) of events that are deltas in
    the form that Claude writes and nothing else; None where one is not: those are parsed.

    Each text is valid JSON by itself, and UTF-8: it may go on as it is written, or be read together with others.
    """
    found = _PLAIN_DELTA.findall(raw)
    return found if found and len(found) == raw.count(b"\n\n") and _is_plain(raw) else None


def plain_events(raw: bytes) -> list[tuple[bytes, bytes, bytes, bytes]] | None:
    """The same for events of all kinds: what is no plain delta has an empty kind, and its data stand behind. None where
    an event has other lines than a name and its data."""
    found = _PLAIN_EVENT.findall(raw)
    beginnings = raw.startswith(b"event:") + raw.count(b"\n\nevent:")
    covered = len(found) == beginnings and len(found) * LINES == raw.count(b"\n") and raw.endswith(b"\n\n")
    return found if covered and _is_plain(raw) else None


def _is_plain(raw: bytes) -> bool:
    """Whether it is UTF-8 with LF for line ends."""
    if b"\r" in raw:
        return False
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            return False
    return True
