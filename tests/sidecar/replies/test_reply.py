"""What is kept comes back as it was, or not at all."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sidecar.dialects.anthropic_messages import stream_of
from sidecar.exchange import Note
from sidecar.replies.reply import CorruptReplyError, Reply

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "héllo"},
        {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "a", "n": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 5},
}


def a_reply(**fields: Any) -> Reply:
    usual: dict[str, Any] = {
        "key": "a1",
        "project": "web",
        "model": "claude-sonnet-5-5",
        "route_reason": "cheapest",
        "stop_reason": "end_turn",
        "stored_at": 1000.5,
        "ttl_seconds": 60,
        "notes": (Note("temperature", "dropped", "not taken"),),
        "form": "message",
        "payload": orjson.dumps(MESSAGE),
    }
    return Reply(**usual | fields)


def test_it_comes_back_as_it_was() -> None:
    reply = a_reply()
    assert Reply.from_bytes(reply.key, reply.to_bytes()) == reply


def test_events_and_a_whole_body_are_the_same_message() -> None:
    events = a_reply(form="events", payload=b"".join(event.raw for event in stream_of(MESSAGE)))
    assert events.message() == a_reply().message() == MESSAGE
    assert events.put_together(events.message()).message() == MESSAGE


def test_it_lasts_as_long_as_it_says_and_a_clock_set_back_makes_it_new() -> None:
    reply = a_reply()
    assert reply.is_fresh(1060.4)
    assert not reply.is_fresh(1060.5)
    assert reply.age(1.0) == 0


@pytest.mark.parametrize("kept", [b"", b"\0\0\0\2{}", b"\0\0\0\2[]rest", b"\0\0\0\5no jsonhere"])
def test_what_is_no_answer_is_told(kept: bytes) -> None:
    with pytest.raises(CorruptReplyError):
        Reply.from_bytes("a1", kept)


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        ("message", b"{"),
        ("events", b"event: message_stop\ndata: {}\n\n"),
        ("events", b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0}\n\n'),
        ("events", b"data: no json\n\n"),
        ("events", b'data: {"type":"message_start","message":{}}\n\n'),
    ],
)
def test_an_answer_that_makes_no_message_is_damaged_too(form: str, payload: bytes) -> None:
    with pytest.raises(CorruptReplyError):
        a_reply(form=form, payload=payload).message()
