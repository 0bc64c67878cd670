"""Deltas by the hundred: how much they deliver, and their texts as they are written, told without parsing every one."""

from __future__ import annotations

import re
from typing import Final

from sidecar.sse import DELTA


def _frame(kind: str, key: str) -> int:
    return len(f'{{"type":"content_block_delta","index":0,"delta":{{"type":"{kind}","{key}":""}}}}')


LINES: Final = 3
"""Of an event that has a name and its data, the blank one included."""

TEXT_FRAME = _frame("text_delta", "text")
FIRST: Final = 160
"""Bytes in which the kind of a first delta stands."""
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
    count = raw.startswith(DELTA) + raw.count(b"\n\n" + DELTA)
    if not count or raw.count(b"\n") != count * LINES or b"\r" in raw:
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

_HEAD = rb'^event: content_block_delta\ndata: \{"type":"content_block_delta","index":'
_STRING = rb'("[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")'
"""Surrogates are left to the parser: half of one is no text."""
_END = rb" *+\} *+\}\n\n"
_DELTA = (
    rb'%b(\d{1,9}),"delta":\{"type":"(text_delta","text|thinking_delta","thinking|input_json_delta","partial_json)":%b%b'
    % (_HEAD, _STRING, _END)
)

_PLAIN_TEXT = re.compile(rb'%b\d{1,9},"delta":\{"type":"text_delta","text":%b%b' % (_HEAD, _STRING, _END), re.MULTILINE)
_PLAIN_DELTA = re.compile(_DELTA, re.MULTILINE)
_PLAIN_EVENT = re.compile(_DELTA + rb"|^event: ?[^\n ][^\n]*\ndata: ?([^\n ][^\n]*)\n\n", re.MULTILINE)


def plain_texts(raw: bytes) -> list[bytes] | None:
    """The texts (as JSON, quotes included) of events that are deltas of text, in the form that Claude writes, and
    nothing else; None where one is not.

    Each is valid JSON by itself, and UTF-8: it may go on as it is written, or be read together with others.
    """
    return _all_of(raw, _PLAIN_TEXT.findall(raw)) if raw.startswith(DELTA) and TEXT in raw[:FIRST] else None


def plain_deltas(raw: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    """The same for deltas of any kind that is spelled: content index, kind (with the name of its field) and text."""
    return _all_of(raw, _PLAIN_DELTA.findall(raw))


def plain_events(raw: bytes) -> list[tuple[bytes, bytes, bytes, bytes]] | None:
    """The same for events of all kinds: what is no plain delta has an empty kind, and its data stand behind. None where
    an event has other lines than a name and its data."""
    return _all_of(raw, _PLAIN_EVENT.findall(raw))


def _all_of[T](raw: bytes, found: list[T]) -> list[T] | None:
    """What was found, where there is nothing else. Each of it begins a line and ends with a blank one, so that none is
    left where there are no more lines than in it."""
    if not found or len(found) * LINES != raw.count(b"\n") or not raw.endswith(b"\n\n") or b"\r" in raw:
        return None
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            return None
    return found
