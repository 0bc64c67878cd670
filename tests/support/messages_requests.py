"""What Claude accepts as a Messages request: the anthropic SDK's own types, and the rules that types do not say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

NOT_IN_THE_TYPES = ("temperature", "top_p", "top_k")
"""Sampling parameters, which the SDK left out in 2.0 and older models still take."""


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(MessageCreateParamsNonStreaming)


def assert_fits_the_sdk_types(request: Mapping[str, Any]) -> None:
    fields = {key: value for key, value in request.items() if key not in NOT_IN_THE_TYPES and key != "stream"}
    types = MessageCreateParamsNonStreaming
    unknown = fields.keys() - types.__required_keys__ - types.__optional_keys__
    assert not unknown, f"not fields of the Messages API: {unknown}"
    _exhaust(_adapter().validate_python({"max_tokens": 1, **fields}))


def assert_claude_takes(request: Mapping[str, Any]) -> None:
    """Alternation, answered calls, unique ids, no blank text, at most four cache marks, tools where tools were used."""
    assert_fits_the_sdk_types(request)
    messages = request["messages"]
    assert messages[0]["role"] == "user"
    for before, after in pairwise(messages):
        assert before["role"] != after["role"]
    _assert_calls_are_answered(messages)
    blocks = list(all_blocks(request))
    for block in blocks:
        if block.get("type") == "text":
            assert block["text"].strip(), "blank text"
        if block.get("type") in ("thinking", "redacted_thinking"):
            assert "cache_control" not in block
    marks = sum("cache_control" in block for block in blocks) + ("cache_control" in request)
    assert marks <= 4
    names = [tool["name"] for tool in request.get("tools", ())]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name) for name in names)
    if any(block.get("type") == "tool_use" for block in blocks):
        assert names, "calls in the history, but no tools"
    else:
        assert "tool_choice" not in request or names


def all_blocks(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Tools, system blocks and content blocks, those inside tool results included."""
    yield from request.get("tools", ())
    yield from request.get("system", ())
    for message in request["messages"]:
        for block in message["content"]:
            yield block
            if block["type"] == "tool_result" and isinstance(block.get("content"), list):
                yield from block["content"]


def _assert_calls_are_answered(messages: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    asked: list[str] = []
    for message in messages:
        kinds = [block["type"] for block in message["content"]]
        answers = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        assert answers == asked, "every call is answered in the message after it, in the order of the calls"
        assert kinds[: len(answers)] == ["tool_result"] * len(answers), "results come first"
        asked = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        assert not asked or message["role"] == "assistant"
        for call_id in asked:
            assert re.fullmatch(r"[a-zA-Z0-9_-]+", call_id)
            assert call_id not in seen
            seen.add(call_id)
    assert not asked, "the last calls are unanswered"


def _exhaust(value: Any) -> None:
    """pydantic checks what it knows only as Iterable when it is iterated."""
    if isinstance(value, Mapping):
        value = value.values()
    elif isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return
    for item in value:
        _exhaust(item)
