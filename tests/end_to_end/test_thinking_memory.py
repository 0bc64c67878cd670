"""Thinking for clients that have no place for it: tool loops through OpenAI's SDK, with all layers, in front of a Claude
that demands the thinking behind every call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from sidecar.simulator.answers import Answer, Failure, Part, RedactedThinking, Text, Thinking, ToolCall
from sidecar.simulator.ledger import Row
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.messages_requests import assert_fits_the_sdk_types
from tests.support.sidecar import RunningSidecar

OPUS, SONNET, HAIKU, OLD_HAIKU = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-haiku-4-5"
THINKING = ("thinking", "redacted_thinking")
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "read_file",
            "description": "Reads a file. " * 60,
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        },
    }
]
RULES = "You work on a program and read its files before you change them. " * 60
SOURCE = "\n".join(f"def step_{number}(state, count): return state.next(count + {number})" for number in range(60))
"""Long enough to become a reference when it is read again."""


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    """All that it accepted must have been of the SDK's types."""
    with RunningSimulator(simulator=Simulator(demands_thinking=True)) as running:
        yield running
        for row in running.simulator.ledger.messages:
            if row.status == 200:
                assert_fits_the_sdk_types(orjson.loads(row.body))


class Agent:
    """A client that keeps of each answer what OpenAI's types have a place for: words and calls."""

    def __init__(self, gateway: RunningSidecar, claude: RunningSimulator, *, streamed: bool, **asked: Any) -> None:
        self.claude = claude.simulator
        self.gateway = gateway
        self.streamed = streamed
        self.asked = {"model": OPUS, "tools": TOOLS} | asked
        self.history: list[Any] = [
            {"role": "system", "content": RULES},
            {"role": "user", "content": "Find the bug."},
        ]

    def say(self, *parts: Part, **asked: Any) -> Any:
        """One request, answered with these parts; returns what the client keeps of it."""
        self.claude.script(Answer(parts))
        wanted = {"messages": self.history, **self.asked, **asked}
        with openai.OpenAI(base_url=f"{self.gateway.url}/v1", api_key=self.gateway.key, max_retries=0) as sdk:
            if self.streamed:
                with sdk.chat.completions.stream(**wanted) as stream:
                    message = stream.get_final_completion().choices[0].message
            else:
                message = sdk.chat.completions.create(**wanted).choices[0].message
        self.history.append(_kept(message))
        return message

    def read(self, message: Any, content: str = SOURCE) -> None:
        for call in message.tool_calls:
            self.history.append({"role": "tool", "tool_call_id": call.id, "content": content})

    def loop(self, turns: int, *, first: int = 0) -> None:
        for turn in range(first, first + turns):
            thought = Thinking(f"I wonder about step {turn}. " * 20 if turn % 2 else "", tokens=150)
            self.read(self.say(thought, Text(f"Now step {turn}."), ToolCall("read_file", {"path": f"{turn}.py"})))


def _kept(message: Any) -> dict[str, Any]:
    kept: dict[str, Any] = {"role": "assistant", "content": message.content}
    if message.tool_calls:
        kept["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls
        ]
    return kept


def assistant_turns(row: Row) -> list[list[str]]:
    """The kinds of the blocks in each turn of the assistant's."""
    messages = orjson.loads(row.body)["messages"]
    return [[block["type"] for block in message["content"]] for message in messages if message["role"] == "assistant"]


def thoughts(row: Row) -> list[Any]:
    messages = orjson.loads(row.body)["messages"]
    return [block for message in messages for block in message["content"] if block["type"] in THINKING]


def written(row: Row) -> int:
    return row.cache_write_5m_tokens + row.cache_write_1h_tokens


FORMS = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])


@FORMS
@pytest.mark.parametrize("model", [OPUS, SONNET, HAIKU])
def test_a_tool_loop_keeps_its_thinking_and_its_cache(
    tmp_path: Path, claude: RunningSimulator, streamed: bool, model: str
) -> None:
    with RunningSidecar(tmp_path, claude) as gateway:
        agent = Agent(gateway, claude, streamed=streamed, model=model)
        agent.loop(5)
    rows = claude.simulator.ledger.wait(5)
    assert [row.status for row in rows] == [200] * 5
    assert assistant_turns(rows[-1]) == [["thinking", "text", "tool_use"]] * 4
    assert [len(thoughts(row)) for row in rows] == [0, 1, 2, 3, 4]
    for before, after in pairwise(rows):
        assert thoughts(after)[: len(thoughts(before))] == thoughts(before)
        assert after.cache_read_tokens >= before.cache_read_tokens + written(before) > 0
    assert b"[cgw: same" in rows[-1].body, "the file that was read again is a reference"
