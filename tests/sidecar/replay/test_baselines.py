"""Baselines are billed by the simulator's own rules, on what would go out without any layer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sidecar.models.catalogue import Catalogue
from sidecar.replay.baselines import Cache, Plain, input_cost, uncached
from sidecar.replay.sessions import Turn
from sidecar.simulator.models import find
from sidecar.simulator.prompt import PromptBlock, render

PLAIN = Plain(Catalogue(), "2026-10-21")
SONNET = find("claude-sonnet-5-5")
assert SONNET is not None
LONG = "A line of the file that everybody talks about.\n" * 60
"""More than the least that is cached."""


def rendered(*texts: str, **more: Any) -> tuple[dict[str, Any], list[PromptBlock]]:
    assert SONNET is not None
    roles = ("user", "assistant")
    messages = [{"role": roles[index % 2], "content": text} for index, text in enumerate(texts)]
    request = PLAIN.request({"messages": messages, **more}, "openai_chat", SONNET.id)
    return request, render(request, SONNET)


def test_automatic_caching_writes_the_newest_end_and_reads_it_within_five_minutes() -> None:
    assert SONNET is not None
    cache = Cache()
    first = cache.automatic(*rendered(LONG), SONNET, at=0.0)
    again = cache.automatic(*rendered(LONG, "ok", "go on"), SONNET, at=299.0)
    late = cache.automatic(*rendered(LONG, "ok", "go on"), SONNET, at=600.0)
    assert (first.read, first.write_1h, first.input) == (0, 0, 0)
    assert again.read == first.write_5m
    assert late.read == 0
    assert input_cost(SONNET, again) == again.read * Decimal("0.1") + again.write_5m * Decimal("2.5")
    assert input_cost(SONNET, uncached(1000)) == 2000


def test_a_client_s_own_marks_are_taken_at_their_word() -> None:
    assert SONNET is not None
    marked = {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    messages = [{"role": "user", "content": [marked, {"type": "text", "text": "new"}]}]
    request = PLAIN.request({"messages": messages}, "openai_chat", SONNET.id)
    reading = Cache().automatic(request, render(request, SONNET), SONNET, at=0.0)
    assert reading.write_1h > 0
    assert reading.input > 0
    assert reading.write_5m == 0


def test_other_marks_can_be_tried_on_the_same_blocks() -> None:
    assert SONNET is not None
    request, blocks = rendered(LONG, "ok", "go on")
    cache = Cache()
    assert cache.marked(request, blocks, {0: "1h"}, SONNET, at=0.0).write_1h == blocks[0].tokens
    assert cache.marked(request, blocks, {0: "1h", 2: "5m"}, SONNET, at=3599.0).read == blocks[0].tokens


CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"path": "a"}'}}


@pytest.mark.parametrize(
    ("before", "answer", "blocks"),
    [
        ([], {"content": "hi"}, [{"type": "text", "text": "hi"}]),
        (
            [],
            {"content": None, "tool_calls": [CALL]},
            [{"type": "tool_use", "id": "call_1", "name": "look", "input": {"path": "a"}}],
        ),
        ([{"role": "assistant", "content": "I"}], {"content": "go on"}, [{"type": "text", "text": "go on"}]),
        ([], {"content": None}, []),
    ],
)
def test_the_recorded_answer_is_what_the_next_request_brings_back(
    before: list[Any], answer: dict[str, Any], blocks: list[Any]
) -> None:
    turn = Turn({"messages": [{"role": "user", "content": "hello"}, *before]}, {"role": "assistant", **answer})
    assert PLAIN.answer(turn, "openai_chat") == blocks


def test_claude_s_own_messages_are_answers_already() -> None:
    content = [{"type": "text", "text": "hi"}]
    message = {"type": "message", "role": "assistant", "content": content}
    for dialect in ("openai_chat", "anthropic_messages"):
        assert PLAIN.answer(Turn({"messages": []}, message), dialect) == content
    assert PLAIN.answer(Turn({"messages": []}, None), "openai_chat") == []
