"""Thinking for clients that have no place for it: tool loops through OpenAI's SDK, with all layers at work, in front of
a Claude that demands the thinking behind every call."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import anthropic
import openai
import orjson
import pytest

from sidecar.ledger.database import Database
from sidecar.ledger.export import export
from sidecar.ledger.queries import EVERY_PROJECT
from sidecar.simulator.answers import Answer, Failure, Part, RedactedThinking, Text, Thinking, ToolCall
from sidecar.simulator.ledger import Row
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.messages_requests import assert_fits_the_sdk_types
from tests.support.sidecar import RunningSidecar

OPUS, SONNET, HAIKU, OLD_HAIKU = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-haiku-4-5"
MILLION = 10**6
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


def test_thinking_comes_back_byte_for_byte_in_its_place_between_parallel_calls(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    with RunningSidecar(tmp_path, claude) as gateway:
        agent = Agent(gateway, claude, streamed=True)
        parts: tuple[Part, ...] = (
            Thinking('Größe "A"\n\u2028 🐈', tokens=60),
            RedactedThinking(),
            Text("I read three."),
            Thinking("", tokens=40),
            ToolCall("read_file", {"path": "a.py"}),
            ToolCall("read_file", {"path": "b.py"}),
            RedactedThinking(tokens=90),
            ToolCall("read_file", {"path": "c.py"}),
        )
        agent.read(agent.say(*parts))
        agent.say(Text("Done."))
    [last] = [turn for row in claude.simulator.ledger.wait(2) for turn in assistant_turns(row)]
    kinds = ["thinking", "redacted_thinking", "text", "thinking", "tool_use", "tool_use", "redacted_thinking"]
    assert last == [*kinds, "tool_use"]


def test_thinking_between_many_calls_keeps_the_cache_in_reach_of_the_marker(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    """A run of calls counts as one position, unless there is thinking in it."""
    calls = (ToolCall("read_file", {"path": f"{number}.py"}) for number in range(14))
    with RunningSidecar(tmp_path, claude) as gateway:
        agent = Agent(gateway, claude, streamed=False)
        agent.loop(1)
        agent.read(agent.say(*(part for call in calls for part in (RedactedThinking(), call))), "short")
        agent.loop(1, first=2)
    *_, before, after = claude.simulator.ledger.wait(3)
    assert len(thoughts(after)) == 15
    assert after.cache_read_tokens >= before.cache_read_tokens + written(before) > 0


@FORMS
def test_a_restart_between_turns_loses_no_thinking(tmp_path: Path, claude: RunningSimulator, streamed: bool) -> None:
    with RunningSidecar(tmp_path, claude) as gateway:
        agent = Agent(gateway, claude, streamed=streamed)
        agent.loop(2)
    for turn in (2, 3):
        with RunningSidecar(tmp_path, claude) as agent.gateway:
            agent.loop(1, first=turn)
    rows = claude.simulator.ledger.wait(4)
    assert [len(thoughts(row)) for row in rows] == [0, 1, 2, 3]
    for before, after in pairwise(rows):
        assert after.cache_read_tokens >= before.cache_read_tokens + written(before) > 0


def test_another_model_gets_no_thinking_of_this_one_and_every_turn_stays_as_it_was_sent(tmp_path: Path) -> None:
    with RunningSimulator() as claude:
        with RunningSidecar(tmp_path, claude) as gateway:
            agent = Agent(gateway, claude, streamed=True)
            for turn, model in enumerate([OPUS, OPUS, SONNET, SONNET, OPUS, OPUS]):
                agent.asked["model"] = model
                agent.loop(1, first=turn)
        rows = claude.simulator.ledger.wait(6)
    assert [row.status for row in rows] == [200] * 6
    for before, after in pairwise(rows):
        assert assistant_turns(after)[: len(assistant_turns(before))] == assistant_turns(before)
    assert [turn[0] for turn in assistant_turns(rows[-1])] == ["thinking", "text", "thinking", "text", "thinking"]


def test_thinking_behind_words_that_are_said_only_once_is_not_kept(tmp_path: Path) -> None:
    """A forced call is asked for in words at the end of the prompt, on a model that cannot be forced."""
    with RunningSimulator() as claude:
        with RunningSidecar(tmp_path, claude) as gateway:
            agent = Agent(gateway, claude, streamed=False)
            agent.read(agent.say(Thinking("I must."), ToolCall("read_file", {"path": "a"}), tool_choice="required"))
            agent.loop(2)
        rows = claude.simulator.ledger.wait(3)
    assert b"calling at least one of your tools" in rows[0].body
    assert [row.status for row in rows] == [200] * 3
    assert assistant_turns(rows[-1]) == [["tool_use"], ["thinking", "text", "tool_use"]]


def test_answers_in_json_keep_their_thinking(tmp_path: Path, claude: RunningSimulator) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    held = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    for form in ({"type": "json_object"}, held):
        with RunningSidecar(tmp_path, claude) as gateway:
            agent = Agent(gateway, claude, streamed=False, response_format=form)
            agent.loop(3)
        assert len(thoughts(claude.simulator.ledger.messages[-1])) == 2


def test_a_model_that_thinks_within_a_budget_goes_on_thinking_in_a_tool_loop(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    with RunningSidecar(tmp_path, claude) as gateway:
        agent = Agent(gateway, claude, streamed=True, model=OLD_HAIKU, reasoning_effort="low")
        agent.loop(3)
        agent.say(Thinking("That was it."), Text("Found it."))
        agent.history.append({"role": "user", "content": "Thank you."})
        agent.say(Thinking("Polite."), Text("You are welcome."))
    rows = claude.simulator.ledger.wait(5)
    assert [orjson.loads(row.body)["thinking"]["type"] for row in rows] == ["enabled"] * 5
    assert [len(thoughts(row)) for row in rows] == [0, 1, 2, 3, 3], "what is no part of a loop is forgotten anyway"


def test_thinking_that_is_refused_is_left_out_once_and_for_all(tmp_path: Path) -> None:
    refusal = Failure(400, message="messages.3.content.0: `thinking` block is bound to a different conversation: ...")
    with RunningSimulator() as claude:
        with RunningSidecar(tmp_path, claude) as gateway:
            agent = Agent(gateway, claude, streamed=True)
            agent.loop(3)
            claude.simulator.script(refusal)
            agent.loop(3, first=3)
        with RunningSidecar(tmp_path, claude) as agent.gateway:
            agent.loop(1, first=6)
        rows = claude.simulator.ledger.wait(8)
    assert [row.status for row in rows] == [200, 200, 200, 400, 200, 200, 200, 200]
    assert [len(thoughts(row)) for row in rows] == [0, 1, 2, 3, 0, 0, 0, 0]
    for before, after in pairwise(rows[4:]):
        assert after.cache_read_tokens >= before.cache_read_tokens + written(before) > 0


@pytest.mark.parametrize("turned_off", ["by setting", "by header"])
def test_it_can_be_turned_off(tmp_path: Path, turned_off: str) -> None:
    setting: Any = {"enable_thinking_memory": False} if turned_off == "by setting" else {}
    asked = {"extra_headers": {"X-Gateway-Bypass": "1"}} if turned_off == "by header" else {}
    with RunningSimulator() as claude, RunningSidecar(tmp_path, claude, **setting) as gateway:
        agent = Agent(gateway, claude, streamed=False, **asked)
        agent.loop(2)
        assert thoughts(claude.simulator.ledger.wait(2)[-1]) == []


def native_loop(gateway: RunningSidecar, claude: RunningSimulator, turns: int, *, keeps_thinking: bool) -> None:
    tools: Any = [{"name": "read_file", "input_schema": {"type": "object"}}]
    history: list[Any] = [{"role": "user", "content": "Find the bug."}]
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk:
        for turn in range(turns):
            claude.simulator.script(Answer((Thinking("Hm."), ToolCall("read_file", {"path": f"{turn}"}))))
            answer = sdk.messages.create(model=OPUS, max_tokens=2000, system=RULES, tools=tools, messages=history)
            blocks = [block.model_dump(exclude_none=True) for block in answer.content]
            kept = [block for block in blocks if keeps_thinking or block["type"] not in THINKING]
            result = {"type": "tool_result", "tool_use_id": blocks[-1]["id"], "content": SOURCE + str(turn)}
            history += [{"role": "assistant", "content": kept}, {"role": "user", "content": [result]}]


@pytest.mark.parametrize("keeps_thinking", [True, False])
def test_the_native_route_adds_thinking_only_where_the_client_keeps_none(
    tmp_path: Path, claude: RunningSimulator, keeps_thinking: bool
) -> None:
    with RunningSidecar(tmp_path, claude) as gateway:
        native_loop(gateway, claude, 3, keeps_thinking=keeps_thinking)
    [*_, last] = claude.simulator.ledger.wait(3)
    assert assistant_turns(last) == [["thinking", "tool_use"]] * 2
    saved = [row["saved_thinking_memory_usd"] for row in accounts(tmp_path)]
    assert all((one < 0) != keeps_thinking for one in saved[1:])


def accounts(home: Path) -> list[dict[str, Any]]:
    exported = io.BytesIO()
    with closing(Database.open(None, home)) as database:
        export(database, exported, project=EVERY_PROJECT, file_format="jsonl")
    return [json.loads(line, parse_float=Decimal) for line in exported.getvalue().splitlines()]


def test_what_thinking_costs_as_input_is_accounted_for(tmp_path: Path) -> None:
    """The same session with and without differs by what the accounts say."""
    prompts = []
    for enabled in (False, True):
        home = tmp_path / str(enabled)
        with RunningSimulator() as claude:
            with RunningSidecar(home, claude, enable_thinking_memory=enabled) as gateway:
                Agent(gateway, claude, streamed=True).loop(6)
            prompts.append([row.prompt_tokens for row in claude.simulator.ledger.wait(6)])
    without, with_thinking = prompts
    assert [b - a for a, b in zip(without, with_thinking, strict=True)] == [150 * turn for turn in range(6)]
    rows = accounts(tmp_path / "True")
    lost = [-row["saved_thinking_memory_usd"] for row in rows]
    assert lost == sorted(lost)
    read, write = Decimal("0.2") / MILLION, Decimal(5) / MILLION
    for turn, one in enumerate(lost):
        expected = 150 * max(0, turn - 1) * read + 150 * min(1, turn) * write
        assert abs(one - expected) <= expected / 4


@pytest.mark.parametrize("model", [OPUS, SONNET])
def test_a_clock_in_the_system_text_costs_neither_cache_nor_thinking(
    tmp_path: Path, claude: RunningSimulator, model: str
) -> None:
    """Claude gets the frozen text and is told the change at the end: so its thinking still belongs where it stands."""
    with RunningSidecar(tmp_path, claude) as gateway:
        agent = Agent(gateway, claude, streamed=True, model=model)
        for turn in range(4):
            agent.history[0] = {"role": "system", "content": f"{RULES}\nCurrent time: 2026-11-22 10:{turn:02}:00"}
            agent.loop(1, first=turn)
    rows = claude.simulator.ledger.wait(4)
    assert b"[Amendment " in rows[-1].body
    assert [len(thoughts(row)) for row in rows] == [0, 1, 2, 3]
    for before, after in pairwise(rows):
        assert after.cache_read_tokens >= before.cache_read_tokens + written(before) > 0


def test_an_answer_from_the_cache_has_its_thinking_too(tmp_path: Path, claude: RunningSimulator) -> None:
    with RunningSidecar(tmp_path, claude, enable_response_cache=True) as gateway:
        first, second = (Agent(gateway, claude, streamed=streamed) for streamed in (True, False))
        said = first.say(Thinking("hm"), ToolCall("read_file", {"path": "a"}))
        again = second.say()
        assert again.tool_calls[0].id == said.tool_calls[0].id, "the second client gets what the first one got"
        claude.simulator.scripted.clear()
        second.read(said)
        second.say(Text("Done."))
    rows = claude.simulator.ledger.wait(2)
    assert assistant_turns(rows[-1]) == [["thinking", "tool_use"]]


def test_a_marker_that_comes_back_takes_the_thinking_behind_it_along(tmp_path: Path) -> None:
    """What stands before the first reference is sent as before, thinking too; what stands behind it is not."""
    with RunningSimulator() as claude:
        with RunningSidecar(tmp_path, claude) as gateway:
            agent = Agent(gateway, claude, streamed=False)
            agent.loop(4)
            [marker] = re.findall(rb"\[cgw: same[^]]*\]", claude.simulator.ledger.messages[2].body)
            quoting = ToolCall("write_file", {"content": orjson.loads(b'"%b"' % marker)})
            claude.simulator.script(Answer(quoting))
            agent.loop(1, first=4)
            agent.loop(1, first=5)
        rows = claude.simulator.ledger.wait(7)
    assert [row.status for row in rows] == [200] * 7
    assert [b"[cgw: same" in row.body for row in rows] == [False, False, True, True, True, False, False]
    assert [len(thoughts(row)) for row in rows] == [0, 1, 2, 3, 4, 2, 3]
