"""The real Anthropic SDK, and raw bytes, through the native route."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from sidecar.simulator.answers import Answer, Failure, Text, Thinking, ToolCall
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: Any = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.fixture
def sdk(gateway: RunningSidecar) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def headers(gateway: RunningSidecar) -> dict[str, str]:
    return {"x-api-key": gateway.key, "anthropic-version": "2023-06-01", "content-type": "application/json"}


def test_a_plain_answer_is_claudes_own(sdk: anthropic.Anthropic, claude: Simulator) -> None:
    claude.script(Answer("Hello there."))
    answer = sdk.messages.create(model="claude-sonnet-5-5", max_tokens=100, messages=HELLO)
    [row] = claude.ledger.wait(1)
    assert [block.text for block in answer.content if block.type == "text"] == ["Hello there."]
    assert answer.id == row.message_id
    assert answer.usage.output_tokens == row.output_tokens


def test_a_stream_is_claudes_own_with_thinking_and_tools(sdk: anthropic.Anthropic, claude: Simulator) -> None:
    claude.script(Answer((Thinking("Hm."), Text("So:"), ToolCall("get_weather", {"city": "Köln"})), chunk_sizes=(5, 1)))
    with sdk.messages.stream(model="claude-opus-5-5", max_tokens=900, messages=HELLO, tools=[WEATHER]) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[0].type == "thinking"
    assert message.content[0].signature
    assert message.stop_reason == "tool_use"


def test_signed_thinking_comes_back_accepted(sdk: anthropic.Anthropic, claude: Simulator) -> None:
    claude.script(Answer((Thinking("Hm."), ToolCall("get_weather", {"city": "Ulm"}))), Answer("Sunny."))
    first = sdk.messages.create(model="claude-opus-5-5", max_tokens=900, messages=HELLO, tools=[WEATHER])
    call = first.content[-1]
    assert call.type == "tool_use"
    turn: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}
    second = sdk.messages.create(
        model="claude-opus-5-5", max_tokens=900, messages=[*HELLO, first.to_param(), turn], tools=[WEATHER]
    )
    assert second.stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_client_writes_goes_upstream_byte_for_byte(
    gateway: RunningSidecar, claude: Simulator, headers: dict[str, str], streamed: bool
) -> None:
    stream = b', "stream" :true' if streamed else b""
    body = (
        b'{"model":"claude-sonnet-5-5","max_tokens": 64 ,"messages":[{"role":"user","content":"\\u00fc \xc3\xbc 1.0"}]'
        + (stream + b"}\n")
    )
    answer = httpx2.post(
        f"{gateway.url}/v1/messages?beta=true",
        content=body,
        headers={
            **headers,
            "anthropic-beta": "from-the-future-2031-01-01",
            "x-gateway-strict": "1",
            "x-gateway-bypass": "1",
            "x-project": "p",
        },
    )
    assert answer.status_code == 200
    [row] = claude.ledger.wait(1)
    assert row.body == body
    assert row.headers["anthropic-beta"] == "from-the-future-2031-01-01"
    assert row.query == "beta=true"
    assert row.headers["anthropic-version"] == "2023-06-01"
    assert not any(name.startswith(("x-gateway", "x-cgw", "x-project")) for name in row.headers)
    assert gateway.key not in str(row.headers)


def test_the_bytes_of_a_stream_come_back_as_claude_sent_them(
    gateway: RunningSidecar, running_simulator: Any, claude: Simulator, headers: dict[str, str]
) -> None:
    body = {"model": "claude-sonnet-5-5", "max_tokens": 64, "messages": HELLO, "stream": True}
    through = httpx2.post(f"{gateway.url}/v1/messages", json=body, headers=headers)
    direct = httpx2.post(
        f"{running_simulator.url}/v1/messages", json=body, headers={**headers, "x-api-key": running_simulator.api_key}
    )
    first, second = claude.ledger.wait(2)
    assert (
        through.content.replace((first.message_id or "").encode(), (second.message_id or "").encode()) == direct.content
    )
    assert through.headers["content-type"].startswith("text/event-stream")
    assert through.headers["request-id"] == first.request_id


def test_claudes_errors_come_back_unchanged(
    gateway: RunningSidecar, claude: Simulator, headers: dict[str, str]
) -> None:
    claude.script(Failure(429, "slow down", retry_after=3))
    body = {"model": "claude-sonnet-5-5", "max_tokens": 64, "messages": HELLO}
    answer = httpx2.post(f"{gateway.url}/v1/messages", json=body, headers=headers)
    [row] = claude.ledger.wait(1)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["error"] == {"type": "rate_limit_error", "message": "slow down"}
    assert answer.json()["request_id"] == answer.headers["request-id"] == row.request_id


def test_a_native_mistake_gets_the_apis_own_words(sdk: anthropic.Anthropic, claude: Simulator) -> None:
    with pytest.raises(anthropic.BadRequestError, match="Extra inputs"):
        sdk.messages.create(model="claude-sonnet-5-5", max_tokens=64, messages=HELLO, extra_body={"nonsense": 1})


def test_an_overload_inside_a_200_is_a_status_again(
    gateway: RunningSidecar, claude: Simulator, headers: dict[str, str]
) -> None:
    claude.script(Answer("never seen", error_after=1))
    body = {"model": "claude-sonnet-5-5", "max_tokens": 64, "messages": HELLO, "stream": True}
    answer = httpx2.post(f"{gateway.url}/v1/messages", json=body, headers=headers)
    assert answer.status_code == 529
    assert answer.json()["error"]["type"] == "overloaded_error"


@pytest.mark.parametrize("failure", [Answer("some words here " * 4, error_after=5), Answer("words " * 9, cut_after=5)])
def test_a_failure_in_mid_stream_is_an_error_event(
    sdk: anthropic.Anthropic, claude: Simulator, failure: Answer
) -> None:
    claude.script(failure)
    words: list[str] = []
    with (
        sdk.messages.stream(model="claude-sonnet-5-5", max_tokens=64, messages=HELLO) as stream,
        pytest.raises(anthropic.APIStatusError),
    ):
        words.extend(stream.text_stream)
    assert words


def test_aliases_and_retired_ids_work_natively_too(sdk: anthropic.Anthropic, claude: Simulator) -> None:
    raw = sdk.messages.with_raw_response.create(model="opus", max_tokens=64, messages=HELLO)
    assert raw.headers["x-gateway-model"] == "claude-opus-5-5"
    raw = sdk.messages.with_raw_response.create(
        model="claude-opus-4-1", max_tokens=64, messages=HELLO, extra_body={"temperature": 0.5}
    )
    assert raw.headers["x-gateway-model"] == "claude-opus-5-5"
    assert "retired" in raw.headers["x-gateway-report"]
    assert json.loads(claude.ledger.wait(2)[-1].body)["model"] == "claude-opus-5-5"


def test_tokens_are_counted(sdk: anthropic.Anthropic, claude: Simulator) -> None:
    assert sdk.messages.count_tokens(model="sonnet", messages=HELLO).input_tokens > 0


def test_models_come_in_anthropics_shape(sdk: anthropic.Anthropic) -> None:
    models = sdk.models.list()
    assert {"sonnet", "claude-opus-5-5"} <= {model.id for model in models}
    assert sdk.models.retrieve("claude-opus-5-5").type == "model"
    with pytest.raises(anthropic.NotFoundError):
        sdk.models.retrieve("llama-7b")


def test_a_wrong_key_is_refused_in_anthropics_shape(gateway: RunningSidecar, claude: Simulator) -> None:
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key="wrong", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError),
    ):
        client.messages.create(model="sonnet", max_tokens=64, messages=HELLO)
    assert claude.ledger.messages == []


@pytest.mark.parametrize("path", ["/v1/messages", "/messages"])
def test_both_spellings_of_the_route_work(
    gateway: RunningSidecar, claude: Simulator, headers: dict[str, str], path: str
) -> None:
    body = {"model": "claude-haiku-5-5", "max_tokens": 64, "messages": HELLO}
    assert httpx2.post(gateway.url + path, json=body, headers=headers).status_code == 200


def test_betas_reach_claude_as_the_sdk_writes_them(gateway: RunningSidecar, claude: Simulator) -> None:
    ask: Any = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "hello"}]}
    betas: Any = ["context-1m-2025-08-07", "from-the-future-2031-01-01"]
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk:
        sdk.beta.messages.create(**ask, max_tokens=50, betas=betas)
        sdk.beta.messages.count_tokens(**ask, betas=betas)
        assert sdk.models.list(limit=2).has_more
    rows = [row for row in claude.ledger.rows if row.path.startswith("/v1/messages")]
    assert [row.path for row in rows] == ["/v1/messages", "/v1/messages/count_tokens"]
    for row in rows:
        assert set(betas) <= set(row.headers["anthropic-beta"].split(","))
