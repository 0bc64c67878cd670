"""How a conversation line is kept: a head, and one segment for what each turn added, so that writing grows with the
turn and not with the history. A short line of one turn, as most conversations are, stands in its head. Plain JSON;
reading never runs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from sidecar.conversation import Accepted, Edit, Line, Sent
from sidecar.exchange import Json

FORMAT: Final = 1


def encode_segment(positions: Iterable[Sent]) -> bytes:
    """Position by position, so that a thread that does it lets others run."""
    return b"[%b]" % b",".join(orjson.dumps(_sent(sent)) for sent in positions)


def head_of(line: Line, segments: int) -> Json:
    """What the line is now, for `encode_head`. Without segments all of it stands there."""
    return {
        "format": FORMAT,
        "segments": segments,
        "sent": [] if segments else [*line.sent],
        "positions": len(line.sent),
        "project": line.project,
        "client": line.client,
        "session": line.session,
        "holdout": line.holdout,
        "references_off": line.references_off,
        "thinking_off": line.thinking_off,
        "last_message": line.last_message,
        "turns": line.turns,
        "renewed": {str(index): digest.hex() for index, digest in line.renewed.items()},
        "requests": [*line.requests],
    }


def encode_head(head: Json) -> bytes:
    """On any thread, however the line goes on meanwhile."""
    told = {**head, "sent": [_sent(sent) for sent in head["sent"]]}
    return orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS)  # of marks


def segments_of(head: bytes) -> int:
    """How many segments belong to a head; 0 for one that has all in itself, or that this version cannot read."""
    try:
        kept = orjson.loads(head)
        return int(kept["segments"]) if kept["format"] == FORMAT else 0
    except (ValueError, KeyError, TypeError):
        return 0


def decode_line(line_id: str, head: bytes, segments: Sequence[bytes | None]) -> Line | None:
    """The line as it was; None where a part of it is gone or broken: then the conversation is a new one."""
    try:
        kept = orjson.loads(head)
        line = Line(
            line_id,
            kept["project"],
            kept["client"],
            session=kept["session"],
            holdout=kept["holdout"],
            references_off=kept["references_off"],
            thinking_off=kept["thinking_off"],
            last_message=kept["last_message"],
            turns=kept["turns"],
        )
        line.extend(_read_sent(sent) for sent in kept.get("sent", ()))
        for segment in segments:
            if segment is None:
                return None
            line.extend(_read_sent(sent) for sent in orjson.loads(segment))
        if kept["renewed"]:
            line.renew({int(index): bytes.fromhex(digest) for index, digest in kept["renewed"].items()})
        line.recall(
            Accepted(**{**one, "marks": {int(at): ttl for at, ttl in one["marks"].items()}}) for one in kept["requests"]
        )
        return line if line.sent and len(line.sent) == kept["positions"] else None
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _sent(sent: Sent) -> list[Any]:
    return [sent.digest.hex(), sent.raw.decode(), sent.zone, sent.role, sent.size, sent.edit]


def _read_sent(kept: list[Any]) -> Sent:
    digest, raw, zone, role, size, edit = kept
    if edit is not None:
        edit = Edit(
            blocks=tuple(edit["blocks"]),
            behind=tuple(edit["behind"]),
            as_system=edit["as_system"],
            saved=tuple((layer, saved) for layer, saved in edit["saved"]),
            ahead=tuple(edit["ahead"]),
            ahead_size=edit["ahead_size"],
            split=edit["split"],
        )
    return Sent(bytes.fromhex(digest), raw.encode(), zone, role, size, edit)
