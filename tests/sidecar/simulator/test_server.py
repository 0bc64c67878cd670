"""Over real sockets, with the real SDK: answers, breaks and departures."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from sidecar.simulator.answers import Answer, Failure, RedactedThinking, Text, Thinking, ToolCall
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import DEFAULT_KEY, Simulator

TOOL: Any = {"name": "read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
QUESTION: Any = {"model": "claude-opus-5-5", "max_tokens": 1_000, "messages": [{"role": "user", "content": "hello"}]}
PARTS = (
    Thinking("hm"),
    RedactedThinking(),
    Text("grüße"),
    ToolCall("read", {"path": "a"}),
    ToolCall("read", {"path": "b"}),
)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def simulator(running: RunningSimulator) -> Simulator:
    running.simulator.scripted.clear()
    running.simulator.ledger.clear()
    return running.simulator


@pytest.fixture
def client(running: RunningSimulator, simulator: Simulator) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=running.api_key, base_url=running.url, max_retries=0, timeout=20) as client:
        yield client


def test_the_sdk_reads_a_plain_answer(client: anthropic.Anthropic, simulator: Simulator) -> None:
    simulator.script(Answer(PARTS))
    message = client.messages.create(**QUESTION, tools=[TOOL])
    assert [block.type for block in message.content] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens_details is not None


def test_the_sdk_folds_a_stream_to_the_same_message(client: anthropic.Anthropic, simulator: Simulator) -> None:
    simulator.script(Answer(PARTS), Answer(PARTS))
    plain = client.messages.create(**QUESTION, tools=[TOOL])
    with client.messages.stream(**QUESTION, tools=[TOOL]) as stream:
        streamed = stream.get_final_message()
    for message in (plain, streamed):
        for block in message.content:
            if block.type == "tool_use":
                block.id = ""
            if block.type == "thinking":
                block.signature = ""
            if block.type == "redacted_thinking":
                block.data = ""
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in plain.content]
    assert streamed.usage.to_dict() == plain.usage.to_dict()


def test_the_sdk_runs_a_tool_loop_with_signed_thinking(client: anthropic.Anthropic, simulator: Simulator) -> None:
    simulator.script(Answer(PARTS), Answer((Thinking(""), Text("done"))))
    messages: list[Any] = [{"role": "user", "content": "go"}]
    settings: Any = {"model": "claude-opus-5-5", "max_tokens": 1_000, "tools": [TOOL]}
    for _ in range(2):
        answer = client.messages.create(**settings, messages=messages, cache_control={"type": "ephemeral"})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "ok"}
            for block in answer.content
            if block.type == "tool_use"
        ]
        messages += [answer.to_param(), {"role": "user", "content": results or "thanks"}]
    assert client.messages.create(**settings, messages=messages).stop_reason == "end_turn"


async def test_the_async_sdk_works_too(running: RunningSimulator, simulator: Simulator) -> None:
    simulator.script(Answer("one"), Answer("two"))
    async with anthropic.AsyncAnthropic(api_key=running.api_key, base_url=running.url, max_retries=0) as client:
        assert (await client.messages.create(**QUESTION)).content[0].to_dict()["text"] == "one"
        async with client.messages.stream(**QUESTION) as stream:
            assert await stream.get_final_text() == "two"
        assert (await client.messages.count_tokens(model="claude-opus-5-5", messages=QUESTION["messages"])).input_tokens
        listed = [model.id async for model in client.models.list(limit=4)]
        assert "claude-haiku-4-5-20251001" in listed


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)
def test_the_sdk_raises_its_own_error(
    client: anthropic.Anthropic, simulator: Simulator, status: int, error: type[anthropic.APIStatusError]
) -> None:
    simulator.script(Failure(status))
    with pytest.raises(error) as caught:
        client.messages.create(**QUESTION)
    assert caught.value.status_code == status
    assert caught.value.request_id


def test_the_sdk_retries_after_the_time_it_was_told(running: RunningSimulator, simulator: Simulator) -> None:
    simulator.script(Failure(429, retry_after=0.01), Failure(529, headers={"retry-after-ms": "10"}), "at last")
    with anthropic.Anthropic(api_key=running.api_key, base_url=running.url, max_retries=2) as client:
        assert client.messages.create(**QUESTION).content[0].to_dict()["text"] == "at last"
    assert [row.status for row in simulator.ledger.wait(3)] == [429, 529, 200]


def test_an_error_event_in_mid_stream_reaches_the_client(client: anthropic.Anthropic, simulator: Simulator) -> None:
    simulator.script(Answer("x" * 100, error_after=5))
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"), client.messages.stream(**QUESTION) as stream:
        stream.until_done()


@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_connection_ends_without_its_end(
    running: RunningSimulator, simulator: Simulator, stream: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    simulator.script(Answer("x" * 100, cut_after=4))
    with pytest.raises(httpx2.RemoteProtocolError):
        post(running, stream=stream)
    [row] = simulator.ledger.wait(1)
    assert (row.complete, row.cancelled) == (False, None)
    assert row.cost > 0
    assert capfd.readouterr().err == "", "a scripted cut is no fault of the server"


def post(running: RunningSimulator, *, timeout: float = 20, **fields: Any) -> httpx2.Response:
    headers = {"x-api-key": running.api_key, "anthropic-version": "2026-10-21"}
    with httpx2.Client(timeout=timeout, trust_env=False) as client:
        return client.post(f"{running.url}/v1/messages", json={**QUESTION, **fields}, headers=headers)


def leave(running: RunningSimulator, body: dict[str, Any], *, after: bytes) -> None:
    """Sends a request and closes the socket as soon as `after` has been read."""
    payload = json.dumps(body).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: simulator\r\nx-api-key: {running.api_key}\r\n"
        f"anthropic-version: 2026-10-21\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(head.encode() + payload)
        read = b""
        while after not in read:
            read += connection.recv(65536)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_before_the_first_byte_is_recorded_and_not_billed(
    running: RunningSimulator, simulator: Simulator, stream: bool
) -> None:
    simulator.script(Answer("late", first_byte_after=600, head_early=True))
    leave(running, {**QUESTION, "stream": stream}, after=b"\r\n\r\n")
    [row] = simulator.ledger.wait(1)
    assert (row.cancelled, row.cost, row.complete) == ("before the first byte", 0, False)


def test_a_client_that_leaves_in_mid_stream_pays_for_what_was_sent(
    running: RunningSimulator, simulator: Simulator
) -> None:
    simulator.script(Answer("x" * 160, silent_after=6))
    leave(running, {**QUESTION, "stream": True}, after=b"content_block_delta")
    [row] = simulator.ledger.wait(1)
    assert (row.cancelled, row.events_sent, row.output_tokens) == ("in mid-stream", 6, 18)
    assert row.cost == row.input_tokens * 4 + 18 * 20


def test_a_client_that_leaves_a_slow_failure_is_recorded(running: RunningSimulator, simulator: Simulator) -> None:
    simulator.script(Failure(529, after=600))
    with pytest.raises(httpx2.ReadTimeout):
        post(running, timeout=1)
    [row] = simulator.ledger.wait(1)
    assert (row.cancelled, row.status) == ("before the first byte", 529)


def test_pings_fill_a_silence(running: RunningSimulator, simulator: Simulator) -> None:
    simulator.script(Answer("hello", silent_after=2, silence=0.05, ping_every=0.01))
    body = post(running, stream=True).text
    assert body.count("event: ping") > 2
    assert body.endswith('data: {"type":"message_stop"}\n\n')


def test_closing_cuts_what_is_being_answered() -> None:
    running = RunningSimulator()
    running.simulator.script(Answer("x" * 160, silent_after=4))
    leave_nothing = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    payload = json.dumps({**QUESTION, "stream": True}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: s\r\nx-api-key: {DEFAULT_KEY}\r\nanthropic-version: 2026-10-21\r\n"
    with leave_nothing as connection:
        connection.sendall(f"{head}content-length: {len(payload)}\r\n\r\n".encode() + payload)
        received = b""
        while b"content_block_delta" not in received:
            received += (came := connection.recv(65536))
            assert came, received
        running.close()
        running.close()
        while connection.recv(65536):
            pass
    [row] = running.simulator.ledger.messages
    assert row.ended
    assert not row.complete


def test_the_same_simulator_can_come_back_at_the_same_port() -> None:
    simulator = Simulator()
    with RunningSimulator(simulator=simulator) as running:
        port = running.port
        assert post(running).status_code == 200
    with pytest.raises(httpx2.ConnectError):
        post(running)
    with RunningSimulator(simulator=simulator, port=port) as running:
        simulator.script(Answer("slow", first_byte_after=0.01))
        assert post(running).status_code == 200
    assert len(simulator.ledger.messages) == 2


def test_a_taken_port_is_an_os_error(running: RunningSimulator) -> None:
    with pytest.raises(OSError, match=r"[Aa]ddress"):
        RunningSimulator(port=running.port)


async def test_many_clients_at_once_get_their_own_answers(running: RunningSimulator, simulator: Simulator) -> None:
    for number in range(20):
        simulator.when(f"number {number}.", Answer(f"answer {number}", delta_every=0.001, delta_chars=2))
    async with anthropic.AsyncAnthropic(api_key=running.api_key, base_url=running.url) as client:

        async def question(number: int) -> str:
            asked: Any = {**QUESTION, "messages": [{"role": "user", "content": f"number {number}."}]}
            async with client.messages.stream(**asked) as stream:
                return await stream.get_final_text()

        assert await asyncio.gather(*map(question, range(20))) == [f"answer {number}" for number in range(20)]
    simulator.scripted.clear()


def test_fast_mode_answers_everything_with_the_same_message() -> None:
    with RunningSimulator(simulator=Simulator(fast=True)) as running:
        client = anthropic.Anthropic(api_key="any", base_url=running.url, max_retries=0)
        with client:
            plain = client.messages.create(**QUESTION)
            with client.messages.stream(**QUESTION) as stream:
                assert stream.get_final_message().content[0].to_dict()["text"] == plain.content[0].to_dict()["text"]
