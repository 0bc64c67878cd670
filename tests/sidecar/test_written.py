"""Requests of a conversation as they are written, one behind the other."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import written as module
from sidecar.written import Written, written

Message = dict[str, Any]
TOOLS = [{"name": f"tool_{number}", "description": "does it" * 20} for number in range(8)]


def message(text: str) -> Message:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def request(messages: list[Any], **fields: Any) -> dict[str, Any]:
    return {"model": "sonnet", "tools": TOOLS, "max_tokens": 9, "messages": messages, "stream": True, **fields}


def whole(made: Written) -> bytes:
    return b"".join(made.pieces)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Requests that have objects in common, at the beginning or anywhere: grown, cut, forked, with a marker moved."""
    texts = st.text(max_size=40) | st.text("x", min_size=30, max_size=60)
    messages: list[Any] = [message(text) for text in draw(st.lists(texts, max_size=6))]
    asked = [request(messages)]
    for _ in range(draw(st.integers(1, 5))):
        messages = messages[: draw(st.integers(0, len(messages)))] + [message(text) for text in draw(st.lists(texts))]
        if messages and draw(st.booleans()):
            at = draw(st.integers(0, len(messages) - 1))
            messages = [*messages[:at], {**messages[at], "marked": True}, *messages[at + 1 :]]
        fields: dict[str, Any] = draw(st.sampled_from(({}, {"tools": []}, {"system": "text"}, {"system": [*TOOLS]})))
        asked.append(request(messages, **fields))
    asked += draw(st.sampled_from(([], [{}], [{"messages": None}], [{"messages": messages}])))
    return asked


@given(conversations(), st.integers(1, 200))
def test_whatever_is_known_the_bytes_are_those_of_the_whole(asked: list[dict[str, Any]], run_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "RUN_BYTES", run_bytes)
        before = None
        for one in asked:
            before = written(one, before)
            assert whole(before) == orjson.dumps(one)


def test_only_what_is_new_is_written() -> None:
    messages = [message("x" * 2_000) for _ in range(100)]
    first = written(request(messages))
    second = written(request([*messages, message("new")]), first)
    shared = {id(piece) for piece in first.pieces} & {id(piece) for piece in second.pieces}
    new = sum(len(piece) for piece in second.pieces if id(piece) not in shared)
    assert whole(second) == orjson.dumps(request([*messages, message("new")]))
    assert new < 2 * module.RUN_BYTES < len(whole(second)) / 4


def test_what_is_written_is_in_few_pieces_however_long_the_conversation() -> None:
    messages: list[Message] = []
    made = written(request(messages))
    for _ in range(200):
        messages = [*messages, message("x" * 500)]
        made = written(request(messages), made)
    assert len(made.pieces) < len(whole(made)) / module.RUN_BYTES + 12
