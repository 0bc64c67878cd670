"""What OpenAI's clients put on the wire, through a running sidecar, judged by the simulator."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from sidecar.simulator.answers import Answer, ToolCall
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

HELLO: Any = [{"role": "user", "content": "hello"}]
MARK: Any = {"cache_control": {"type": "ephemeral"}}
STRICT = {"X-Gateway-Strict": "1"}


def tool(name: str, **more: Any) -> Any:
    return {"type": "function", "function": {"name": name, **more}}


def call(call_id: str, name: str = "read") -> Any:
    function = {"name": name, "arguments": "{}"}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


@pytest.fixture
def sdk(gateway: RunningSidecar) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


def sent(claude: Simulator) -> Any:
    """The body of the newest request that reached Claude."""
    return json.loads(claude.ledger.messages[-1].body)


def test_what_clients_always_send_is_no_loss(sdk: openai.OpenAI, claude: Simulator) -> None:
    sdk.chat.completions.create(
        model="sonnet",
        messages=HELLO,
        tools=[tool("read")],
        tool_choice="auto",
        parallel_tool_calls=True,
        temperature=1,
        top_p=1,
        n=1,
        frequency_penalty=0,
        presence_penalty=0,
        logprobs=False,
        store=True,
        metadata={"team": "blue"},
        user="someone",
        max_tokens=1_000_000,
        extra_headers=STRICT,
    )
    assert sent(claude)["metadata"] == {"user_id": "someone"}


@pytest.mark.parametrize("model", ["sonnet", "opus", "claude-haiku-4-5"])
def test_a_session_marked_like_opencodes_reads_its_beginning_from_the_cache(
    sdk: openai.OpenAI, claude: Simulator, model: str
) -> None:
    system: Any = {"role": "system", "content": "You know the house. " * 3000, **MARK}
    messages: list[Any] = [*HELLO]
    cached = []
    for turn in range(4):
        marked: list[Any] = [system, *messages[:-1], {**messages[-1], **MARK}]
        choice: Any = ["auto", "required"][turn % 2]
        answer = sdk.chat.completions.create(model=model, messages=marked, tools=[tool("read")], tool_choice=choice)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        cached.append(answer.usage.prompt_tokens_details.cached_tokens or 0)
        result = {"role": "tool", "tool_call_id": f"call_{turn}", "content": f"line {turn} " * 50}
        messages += [call(f"call_{turn}"), result, {"role": "system", "content": f"It is turn {turn}."}]
    assert cached[0] == 0
    assert cached[1] > 5_000
    assert cached == sorted(cached)


def test_a_client_of_2023_makes_one_call_at_a_time(sdk: openai.OpenAI, claude: Simulator) -> None:
    functions: Any = [{"name": "read", "parameters": {"type": "object", "properties": {}}}]
    claude.script(Answer(ToolCall("read", {"path": "a"})), Answer("Done."))
    message = sdk.chat.completions.create(model="sonnet", messages=HELLO, functions=functions).choices[0].message
    assert sent(claude)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert message.function_call is not None
    assert json.loads(message.function_call.arguments) == {"path": "a"}
    history: Any = [*HELLO, message.model_dump(exclude_none=True), {"role": "function", "name": "read", "content": "b"}]
    answer = sdk.chat.completions.create(model="sonnet", messages=history, functions=functions)
    assert answer.choices[0].message.content == "Done."


def test_a_tool_that_is_no_longer_offered_may_stand_in_the_history(sdk: openai.OpenAI, claude: Simulator) -> None:
    history: Any = [*HELLO, call("a", "write"), {"role": "tool", "tool_call_id": "a", "content": "done"}]
    sdk.chat.completions.create(model="sonnet", messages=history, tools=[tool("read")], extra_headers=STRICT)
    assert [offered["name"] for offered in sent(claude)["tools"]] == ["read"]


def test_a_temperature_is_honoured_where_model_and_api_version_take_it(sdk: openai.OpenAI, claude: Simulator) -> None:
    older = {"anthropic-version": "2023-06-01"}
    sdk.chat.completions.create(model="claude-haiku-4-5", messages=HELLO, temperature=0.1, extra_headers=older | STRICT)
    assert sent(claude)["temperature"] == 0.1
    raw = sdk.chat.completions.with_raw_response.create(model="claude-haiku-4-5", messages=HELLO, temperature=0.1)
    assert "temperature" not in sent(claude)
    assert "API" in raw.headers["x-gateway-report"]


def test_an_address_in_the_users_name_does_not_reach_claude(sdk: openai.OpenAI, claude: Simulator) -> None:
    sdk.chat.completions.create(model="sonnet", messages=HELLO, user="Jo <jo@example.org>")
    assert len(sent(claude)["metadata"]["user_id"]) == 64


def test_the_report_names_every_field_that_was_lost(sdk: openai.OpenAI, claude: Simulator) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model="sonnet", messages=HELLO, seed=1, frequency_penalty=0.5, extra_body={"min_p": 0.1}
    )
    for field in ("seed", "frequency_penalty", "min_p"):
        assert f"{field}=dropped" in raw.headers["x-gateway-report"]
