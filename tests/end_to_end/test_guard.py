"""A marker of ours that comes back inside a tool call: a plain answer is asked for once more with everything as the
client wrote it, a streamed one ends before the call is complete, and the conversation goes on without."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import orjson
import pytest

import addons
from sidecar.ledger.columns import ExportRange
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT
from sidecar.simulator.answers import Answer, Failure, Text, ToolCall
from sidecar.simulator.ledger import Row
from sidecar.simulator.server import RunningSimulator
from tests.support.gates import AN_HOUR, Gate
from tests.support.sidecar import RunningSidecar

SONNET = "claude-sonnet-5-5"
LISTING = "".join(f"{number}: the words of line {number}\n" for number in range(1, 400))
MARKER = "[cgw cut: 9,999 characters in 300 lines left out here. To read all of it: cgw show 0a1b2c3d4e5f]"
REFERENCE = '[cgw: same 399 lines as the read_file result in message 3 above, "1: the words" @k3f9.0.x81qa]'


def quoting(marker: str) -> Answer:
    """Every delta waits at the gate. What stands behind the marker never comes."""
    written = {"path": "a.py", "content": f"import os\n{marker}\n"}
    return Answer((Text("I write it."), ToolCall("write_file", written)), delta_every=AN_HOUR)


QUOTES = quoting(MARKER)
WORDS, TO_THE_MARKER = 1, 5
"""Deltas of 16 characters."""
CLEAN = Answer((Text("[so] "), ToolCall("write_file", {"path": "a.py", "content": "a[0] = [cgw, \\n]\n[cgw cut"})))
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}}
SPENT = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens")


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSidecar]:
    # One layer alone, so that it is known what goes upstream.
    monkeypatch.setattr(addons, "BUILT_IN", ("addons.size_limits:SizeLimits",))
    with a_gateway(tmp_path, claude) as running:
        yield running


def a_gateway(home: Path, claude: RunningSimulator) -> RunningSidecar:
    return RunningSidecar(home, claude, tool_result_max_chars=400)


class Native:
    """An agent that speaks Anthropic; keeps its history."""

    route = "/v1/messages"

    def __init__(self, *results: str, task: str = "copy a.txt to a.py") -> None:
        self.history: list[Any] = [{"role": "user", "content": task}]
        self.task = task.replace(" ", "_").replace(".", "_")
        self.calls = 0
        for result in results or (LISTING,):
            self.reads(result)

    def next_id(self) -> str:
        self.calls += 1
        return f"toolu_{self.task}_{self.calls}"

    def reads(self, result: str) -> None:
        call_id = self.next_id()
        call = {"type": "tool_use", "id": call_id, "name": "read_file", "input": {"path": "a.txt"}}
        told = {"type": "tool_result", "tool_use_id": call_id, "content": result}
        self.history += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [told]}]

    def body(self, **more: Any) -> dict[str, Any]:
        tools = [{"name": name, "input_schema": SCHEMA} for name in ("read_file", "write_file")]
        return {"model": SONNET, "max_tokens": 4000, "messages": self.history, "tools": tools, **more}


class Chat(Native):
    """The same agent, speaking OpenAI."""

    route = "/v1/chat/completions"

    def reads(self, result: str) -> None:
        call_id = self.next_id()
        function = {"name": "read_file", "arguments": '{"path":"a.txt"}'}
        call = {"id": call_id, "type": "function", "function": function}
        self.history += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call_id, "content": result},
        ]

    def body(self, **more: Any) -> dict[str, Any]:
        names = ("read_file", "write_file")
        tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]
        return {"model": SONNET, "messages": self.history, "tools": tools, **more}


AGENTS = pytest.mark.parametrize("agent", [Native, Chat])


gates: list[Gate] = []
"""The one of the test that runs."""


@pytest.fixture(autouse=True)
def at_the_gate(gate: Gate) -> Iterator[None]:
    gates[:] = [gate]
    yield
    gates.clear()


def post(gateway: RunningSidecar, agent: Native, **more: Any) -> httpx2.Response:
    """A streamed answer goes on to its marker once its first words are here, any other at once."""
    [gate] = gates
    gate.shut()
    gate.let_through(WORDS if more.get("stream") else WORDS + TO_THE_MARKER)
    headers = {"x-api-key": gateway.key}
    received = b""
    with httpx2.stream(
        "POST", gateway.url + agent.route, json=agent.body(**more), headers=headers, timeout=30
    ) as answer:
        for chunk in answer.iter_raw():
            heard = b"I write it." in received
            received += chunk
            if not heard and b"I write it." in received:
                gate.let_through(TO_THE_MARKER)
    return httpx2.Response(answer.status_code, headers=answer.headers, content=received)


def requests_of(claude: RunningSimulator, count: int) -> list[bytes]:
    rows = claude.simulator.ledger.wait(count)
    assert len(rows) == count
    return [row.body for row in rows]


def is_cut(body: bytes) -> bool:
    assert (b"the words of line 200" in body) != (b"[cgw cut: " in body)
    return b"[cgw cut: " in body


def booked(home: Path) -> list[dict[str, Any]]:
    """The rows of the ledger, oldest first."""
    database = Database.open(None, home)
    try:
        chosen = ExportRange(database, project=EVERY_PROJECT)
        names = [column.name for column in chosen.columns]
        return [dict(zip(names, record, strict=True)) for page in chosen.pages() for record in zip(*page, strict=True)]
    finally:
        database.close()


def billed(rows: list[Row]) -> int:
    """Pico-dollars, by the simulator's own arithmetic."""
    return int(sum((row.cost for row in rows), Decimal(0)) * 10**6)


@AGENTS
def test_a_plain_answer_is_asked_for_once_more_with_every_word_of_the_client(
    gateway: RunningSidecar, claude: RunningSimulator, agent: type[Native]
) -> None:
    claude.simulator.script(QUOTES, CLEAN)
    answer = post(gateway, agent())
    assert answer.status_code == 200
    assert MARKER not in answer.text
    assert "[cgw, " in answer.text
    assert [is_cut(body) for body in requests_of(claude, 2)] == [True, False]


@AGENTS
@pytest.mark.parametrize("streamed", [False, True])
def test_a_reference_that_comes_back_is_the_last_one_of_its_conversation(
    tmp_path: Path,
    claude: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
    agent: type[Native],
    *,
    streamed: bool,
) -> None:
    monkeypatch.setattr(addons, "BUILT_IN", ("addons.file_references:FileReferences",))
    client = agent(LISTING, LISTING)
    with RunningSidecar(tmp_path, claude) as gateway:
        claude.simulator.when(lambda request: "[cgw: same" in str(request), quoting(REFERENCE))
        answer = post(gateway, client, stream=streamed)
        assert ("Send the request again" in answer.text) == streamed
        assert "[cgw: " not in answer.text
        client.reads(LISTING)
        assert "[cgw: " not in post(gateway, client, stream=streamed).text
    first, *others = requests_of(claude, 2 if streamed else 3)
    assert first.count(b"the words of line 200") == 1
    assert [body.count(b"the words of line 200") for body in others] == ([3] if streamed else [2, 3])


@AGENTS
def test_a_streamed_answer_ends_in_an_error_and_nothing_of_the_marker_was_sent(
    gateway: RunningSidecar, claude: RunningSimulator, agent: type[Native]
) -> None:
    claude.simulator.script(QUOTES)
    answer = post(gateway, agent(), stream=True)
    assert "I write it." in answer.text
    assert "[cgw" not in answer.text
    assert "Send the request again" in answer.text
    assert "tool_calls" not in finish_reasons(answer.text)
    assert '"stop_reason":"tool_use"' not in answer.text
    assert [is_cut(body) for body in requests_of(claude, 1)] == [True]


def finish_reasons(stream: str) -> set[str]:
    chunks = [orjson.loads(line[6:]) for line in stream.split("\n") if line.startswith("data: {")]
    return {choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", ())} - {None}


def go_on(events: Iterator[Any], gate: Gate) -> None:
    """To the marker, once the first words are here."""
    next(event for event in events if "I write it." in repr(event))
    gate.let_through(TO_THE_MARKER)
    list(events)


def test_the_sdks_raise_what_they_raise_for_a_failing_stream(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate
) -> None:
    claude.simulator.script(QUOTES, QUOTES)
    gate.let_through(WORDS)
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as native,
        pytest.raises(anthropic.APIStatusError, match="Send the request again"),
        native.messages.stream(**Native().body()) as stream,
    ):
        go_on(iter(stream), gate)
    claude.simulator.ledger.wait(1)  # nor does that answer wait at the gate now, and take what is let through
    gate.shut()
    gate.let_through(WORDS)
    other = Chat(task="something else")
    with (
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as chat,
        pytest.raises(openai.APIError, match="Send the request again") as raised,
    ):
        go_on(iter(chat.chat.completions.create(**other.body(stream=True))), gate)
    assert raised.value.code == "marker_in_arguments"


@AGENTS
@pytest.mark.parametrize("streamed", [False, True])
def test_that_conversation_runs_without_references_from_then_on(
    tmp_path: Path,
    claude: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
    agent: type[Native],
    *,
    streamed: bool,
) -> None:
    monkeypatch.setattr(addons, "BUILT_IN", ("addons.size_limits:SizeLimits",))
    client = agent("short", LISTING)
    with a_gateway(tmp_path, claude) as gateway:
        claude.simulator.script(QUOTES)
        post(gateway, client, stream=streamed)
        if streamed:
            assert post(gateway, client, stream=True).status_code == 200  # it was told to send it again
        client.reads(LISTING.replace("words", "other words"))
        post(gateway, client, stream=streamed)
    with a_gateway(tmp_path, claude) as gateway:
        client.reads("and more\n" * 200)
        post(gateway, client, stream=streamed)
        post(gateway, agent(task="another conversation"))
    first, *others, another = requests_of(claude, 5)
    assert is_cut(first)
    assert not any(b"[cgw cut: " in body for body in others)
    assert b"[cgw cut: " in another


def test_what_stood_before_the_first_marker_is_sent_as_it_was(
    gateway: RunningSidecar, claude: RunningSimulator
) -> None:
    client = Native("short")
    post(gateway, client)
    client.reads(LISTING)
    claude.simulator.script(QUOTES)
    post(gateway, client)
    before, cut, whole = ([*orjson.loads(body)["messages"]] for body in requests_of(claude, 3))
    assert cut[: len(before)] == whole[: len(before)] == before


@AGENTS
def test_both_answers_are_in_the_books_and_the_spoiled_one_is_the_layer_s_loss(
    tmp_path: Path, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch, agent: type[Native]
) -> None:
    monkeypatch.setattr(addons, "BUILT_IN", ("addons.size_limits:SizeLimits",))
    claude.simulator.script(QUOTES, CLEAN)
    with a_gateway(tmp_path, claude) as gateway:
        assert post(gateway, agent()).status_code == 200
    rows = claude.simulator.ledger.wait(2)
    [booking] = booked(tmp_path)
    assert booking["input_tokens"] == sum(row.input_tokens for row in rows)
    assert booking["saved_size_limits_usd"] < 0
    assert booking["cost_usd"] - booking["baseline_usd"] == -booking["saved_usd"] > 0
    if agent is Native:
        assert booking["cost_usd"] == billed(rows)
        assert booking["baseline_usd"] == billed(rows[1:])
        assert booking["output_tokens"] == sum(row.output_tokens for row in rows)
        assert not booking["estimated"]
    else:  # the first answer was left as soon as the marker came
        assert booking["cost_usd"] > billed(rows[1:])
        assert booking["estimated"]


def test_an_answer_that_was_stopped_is_booked_as_an_error_that_cost_something(
    tmp_path: Path, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addons, "BUILT_IN", ("addons.size_limits:SizeLimits",))
    claude.simulator.script(QUOTES)
    with a_gateway(tmp_path, claude) as gateway:
        post(gateway, Native(), stream=True)
    [row] = claude.simulator.ledger.wait(1)
    [booking] = booked(tmp_path)
    assert booking["status"] == 500
    assert booking["input_tokens"] == row.input_tokens > 0
    assert booking["output_tokens"] > 0
    assert booking["baseline_usd"] == 0
    assert booking["cost_usd"] == -booking["saved_size_limits_usd"] > 0
    assert booking["estimated"]


def test_a_second_answer_that_fails_fails_the_request_and_the_first_one_is_still_booked(
    tmp_path: Path, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addons, "BUILT_IN", ("addons.size_limits:SizeLimits",))
    claude.simulator.script(QUOTES, Failure(529))
    with a_gateway(tmp_path, claude) as gateway:
        assert post(gateway, Native()).status_code == 529
    [booking] = booked(tmp_path)
    assert booking["cost_usd"] == billed(claude.simulator.ledger.wait(2)[:1]) > 0
    assert booking["status"] == 529


def test_a_client_that_takes_its_edits_from_the_text_is_guarded_too(
    tmp_path: Path, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addons, "BUILT_IN", ("addons.size_limits:SizeLimits",))
    claude.simulator.script(f"<write_to_file><content>{MARKER}</content></write_to_file>", "Done.")
    body = {"model": SONNET, "messages": [{"role": "user", "content": LISTING}]}
    with RunningSidecar(tmp_path, claude, user_msg_max_chars=400, size_limit_action="cut") as gateway:
        headers = {"x-api-key": gateway.key}
        answer = httpx2.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=30)
    assert answer.json()["choices"][0]["message"]["content"] == "Done."


def test_what_an_addon_of_the_user_s_changes_is_changed_in_the_second_request_too(
    tmp_path: Path, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addons, "BUILT_IN", ("addons.size_limits:SizeLimits",))
    own = tmp_path / "own.py"
    own.write_text(
        "class Redacts:\n"
        "    def request(self, exchange):\n"
        "        exchange.request = {**exchange.request, 'system': 'No secrets here.'}\n"
        "        exchange.edited = True\n"
    )
    claude.simulator.script(QUOTES, CLEAN)
    with RunningSidecar(tmp_path, claude, addon_files=(own,), tool_result_max_chars=400) as gateway:
        assert post(gateway, Native()).status_code == 200
    bodies = requests_of(claude, 2)
    assert [is_cut(body) for body in bodies] == [True, False]
    assert all(b"No secrets here." in body for body in bodies)


def test_a_clean_answer_to_a_prompt_with_markers_comes_byte_for_byte(
    gateway: RunningSidecar, claude: RunningSimulator
) -> None:
    claude.simulator.script(CLEAN, CLEAN)
    through = post(gateway, Native(), stream=True)
    [first] = claude.simulator.ledger.wait(1)
    direct = httpx2.post(
        f"{claude.url}/v1/messages",
        content=first.body,
        headers={"x-api-key": claude.api_key, "anthropic-version": "2023-06-01"},
        timeout=30,
    )
    assert is_cut(first.body)
    assert shape(through.content) == shape(direct.content)


def shape(stream: bytes) -> list[bytes]:
    """The stream without what is never the same twice: ids, and the usage that the prompt cache changes."""
    return [
        part for part in stream.split(b"\n\n") if b"message_start" not in part and b"content_block_start" not in part
    ]
