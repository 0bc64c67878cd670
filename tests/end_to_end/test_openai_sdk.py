"""The real OpenAI SDK against a running sidecar in front of the simulator, over real sockets."""

import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx2
import openai
import orjson
import pytest
from pydantic import BaseModel

from sidecar.conversation import positions_of
from sidecar.simulator.answers import Answer, Failure, RedactedThinking, Text, Thinking, ToolCall, refusal
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

PIXEL = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
).decode()

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def sdk(gateway: RunningSidecar) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


def sent(claude: Simulator) -> Any:
    """The body of the newest request that reached Claude."""
    return json.loads(claude.ledger.messages[-1].body)


def test_a_plain_answer_has_text_usage_and_a_reason_to_stop(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer("Hello there."))
    answer = sdk.chat.completions.create(model="claude-sonnet-5-5", messages=HELLO)
    [row] = claude.ledger.wait(1)
    assert answer.choices[0].message.content == "Hello there."
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "claude-sonnet-5-5"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == row.prompt_tokens
    assert answer.usage.completion_tokens == row.output_tokens
    assert answer.usage.total_tokens == row.prompt_tokens + row.output_tokens


def test_a_streamed_answer_is_the_same_text_in_pieces(sdk: openai.OpenAI, claude: Simulator) -> None:
    text = "Größe, 猫 and 🐈 — " * 20
    claude.script(Answer(text, delta_chars=7, chunk_sizes=(3, 1, 50)))
    chunks = list(sdk.chat.completions.create(model="sonnet", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_in_a_last_chunk_when_it_was_asked_for(sdk: openai.OpenAI, claude: Simulator) -> None:
    chunks = list(
        sdk.chat.completions.create(model="sonnet", messages=HELLO, stream=True, stream_options={"include_usage": True})
    )
    [row] = claude.ledger.wait(1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == row.prompt_tokens
    assert chunks[-1].usage.completion_tokens == row.output_tokens


def test_cached_tokens_are_part_of_the_prompt(sdk: openai.OpenAI, claude: Simulator) -> None:
    marked: Any = {"role": "system", "content": "You know the house. " * 2000, "cache_control": {"type": "ephemeral"}}
    for words in ("one", "two"):
        answer = sdk.chat.completions.create(model="sonnet", messages=[marked, {"role": "user", "content": words}])
    usage = answer.usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens
    assert usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens
    assert usage.prompt_tokens == claude.ledger.wait(2)[-1].prompt_tokens


def test_a_tool_call_arrives_with_its_arguments(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer(ToolCall("get_weather", {"city": "Köln"})))
    answer = sdk.chat.completions.create(model="sonnet", messages=HELLO, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "tool_calls"
    [call] = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Köln"}


def test_parallel_tool_calls_stream_with_their_own_indexes(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(
        Answer((Text("Both."), ToolCall("get_weather", {"city": "Bonn"}), ToolCall("get_weather", {"city": "Ulm"})))
    )
    with sdk.chat.completions.stream(model="sonnet", messages=HELLO, tools=[WEATHER]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.content == "Both."
    assert [json.loads(call.function.arguments) for call in message.tool_calls or []] == [
        {"city": "Bonn"},
        {"city": "Ulm"},
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_loop_of_tools_runs_to_its_end(sdk: openai.OpenAI, claude: Simulator, streamed: bool) -> None:
    claude.script(
        Answer((ToolCall("get_weather", {"city": "Bonn"}), ToolCall("get_weather", {"city": "Ulm"}))),
        Answer(ToolCall("get_weather", {"city": "Rom"})),
        Answer("All sunny."),
    )
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, *HELLO]
    while True:
        if streamed:
            with sdk.chat.completions.stream(model="sonnet", messages=messages, tools=[WEATHER]) as stream:
                message: Any = stream.get_final_completion().choices[0].message
        else:
            message = sdk.chat.completions.create(model="sonnet", messages=messages, tools=[WEATHER]).choices[0].message
        messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        if not message.tool_calls:
            break
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reversed(message.tool_calls)
        ]
    assert message.content == "All sunny."
    rows = claude.ledger.wait(3)
    assert [row.status for row in rows] == [200, 200, 200]
    last = sent(claude)["messages"]
    assert [turn["role"] for turn in last] == ["user", "assistant", "user", "assistant", "user"]
    calls = [block["id"] for block in last[1]["content"] if block["type"] == "tool_use"]
    assert [block["tool_use_id"] for block in last[2]["content"]] == calls


def test_a_growing_conversation_repeats_its_beginning_byte_for_byte(sdk: openai.OpenAI, claude: Simulator) -> None:
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, *HELLO]
    for turn in range(3):
        answer = sdk.chat.completions.create(model="sonnet", messages=messages, tools=[WEATHER])
        messages += [{"role": "assistant", "content": answer.choices[0].message.content}]
        messages += [{"role": "user", "content": f"and {turn}?"}]
    prompts = []
    for row in claude.ledger.wait(3):
        positions = positions_of(orjson.loads(row.body))
        assert positions is not None
        prompts.append([(at.zone, at.role, at.raw) for at in positions])  # raw: as it was written, without cache marks
    for earlier, later in pairwise(prompts):
        assert later[: len(earlier)] == earlier


def test_images_and_documents_reach_claude(sdk: openai.OpenAI, claude: Simulator) -> None:
    pdf = base64.b64encode(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF").decode()
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{pdf}"}},
    ]
    sdk.chat.completions.create(model="sonnet", messages=[{"role": "user", "content": content}])
    [row] = claude.ledger.wait(1)
    assert row.status == 200
    kinds = [(block["type"], block.get("source", {}).get("type")) for block in sent(claude)["messages"][0]["content"]]
    assert kinds == [("text", None), ("image", "base64"), ("image", "url"), ("document", "base64")]


def test_structured_output_parses_into_the_clients_own_type(sdk: openai.OpenAI, claude: Simulator) -> None:
    class City(BaseModel):
        name: str
        people: int

    answer = sdk.chat.completions.parse(model="sonnet", messages=HELLO, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)
    assert sent(claude)["output_config"]["format"]["type"] == "json_schema"


def test_thinking_is_shown_as_reasoning_content(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer((Thinking("Let me see."), RedactedThinking(), Text("42"))))
    answer = sdk.chat.completions.create(model="opus", messages=HELLO, reasoning_effort="high")
    message: Any = answer.choices[0].message
    assert message.content == "42"
    assert message.reasoning_content == "Let me see."
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens
    assert sent(claude)["output_config"]["effort"] == "high"


def test_thinking_streams_as_reasoning_content(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer((Thinking("Let me see."), Text("42"))))
    chunks: list[Any] = list(
        sdk.chat.completions.create(model="opus", messages=HELLO, reasoning_effort="high", stream=True)
    )
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "Let me see."
    assert "".join(delta.content or "" for delta in deltas) == "42"


def test_a_refusal_is_a_filtered_answer(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(refusal(explanation="Not this."))
    answer = sdk.chat.completions.create(model="sonnet", messages=HELLO)
    assert answer.choices[0].finish_reason == "content_filter"


@pytest.mark.parametrize("streamed", [False, True])
def test_several_choices_are_several_calls(sdk: openai.OpenAI, claude: Simulator, streamed: bool) -> None:
    texts: dict[int, str] = {}
    if streamed:
        for chunk in sdk.chat.completions.create(model="sonnet", messages=HELLO, n=3, stream=True):
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    else:
        answer = sdk.chat.completions.create(model="sonnet", messages=HELLO, n=3)
        texts = {choice.index: choice.message.content or "" for choice in answer.choices}
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == sum(row.prompt_tokens for row in claude.ledger.wait(3))
    assert sorted(texts) == [0, 1, 2]
    assert all(texts.values())
    assert len(claude.ledger.wait(3)) == 3


def test_temperature_is_dropped_and_reported_not_refused(sdk: openai.OpenAI, claude: Simulator) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="sonnet", messages=HELLO, temperature=2)
    assert "temperature" not in sent(claude)
    assert "temperature=dropped" in raw.headers["x-gateway-report"]


def test_strict_refuses_what_would_be_lost(sdk: openai.OpenAI, claude: Simulator) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        sdk.chat.completions.create(
            model="sonnet", messages=HELLO, temperature=0.3, extra_headers={"X-Gateway-Strict": "1"}
        )
    assert claude.ledger.messages == []


def test_every_answer_says_who_answered(sdk: openai.OpenAI, claude: Simulator) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="opus", messages=HELLO)
    assert raw.headers["x-gateway"] == "claude-gateway"
    assert raw.headers["x-cache"] == "MISS"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-gateway-model"] == "claude-opus-5-5"


def test_a_retired_model_is_answered_by_its_successor_and_said_so(sdk: openai.OpenAI, claude: Simulator) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="claude-sonnet-4-0", messages=HELLO)
    assert raw.headers["x-gateway-model"] == "claude-sonnet-5-5"
    assert "retired" in raw.headers["x-gateway-report"]
    assert sent(claude)["model"] == "claude-sonnet-5-5"


def test_openais_own_model_names_are_answered(sdk: openai.OpenAI, claude: Simulator) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.headers["x-gateway-model"].startswith("claude-")


def test_a_limit_of_the_client_is_kept_and_a_missing_one_is_what_the_model_needs(
    sdk: openai.OpenAI, claude: Simulator
) -> None:
    answer = sdk.chat.completions.create(model="sonnet", messages=HELLO, max_completion_tokens=5)
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert sent(claude)["max_tokens"] == 5
    sdk.chat.completions.create(model="sonnet", messages=HELLO)
    assert sent(claude)["max_tokens"] == 64_000


def test_models_are_listed_with_aliases_and_found_by_name(sdk: openai.OpenAI) -> None:
    ids = [model.id for model in sdk.models.list()]
    assert {"haiku", "sonnet", "opus", "fable", "auto", "claude-sonnet-5-5"} <= set(ids)
    assert "claude-sonnet-4-0" not in ids
    assert sdk.models.retrieve("claude-opus-5-5").id == "claude-opus-5-5"
    assert sdk.models.retrieve("sonnet").id == "sonnet"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("llama-7b")


@pytest.mark.parametrize(
    ("failure", "expected", "status"),
    [
        (Failure(400, "messages: too strange"), openai.BadRequestError, 400),
        (Failure(401), openai.AuthenticationError, 401),
        (Failure(403), openai.PermissionDeniedError, 403),
        (Failure(404), openai.NotFoundError, 404),
        (Failure(413), openai.APIStatusError, 413),
        (Failure(429, retry_after=7), openai.RateLimitError, 429),
        (Failure(500), openai.InternalServerError, 500),
        (Failure(529), openai.InternalServerError, 503),
        (Answer("never seen", error_after=0), openai.InternalServerError, 503),
        (Answer("never seen", error_after=1), openai.InternalServerError, 503),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_every_failure_of_claude_is_the_sdks_own_exception(
    sdk: openai.OpenAI,
    claude: Simulator,
    failure: Answer | Failure,
    expected: type[openai.APIStatusError],
    status: int,
    streamed: bool,
) -> None:
    claude.script(failure)
    with pytest.raises(expected) as raised:
        list(sdk.chat.completions.create(model="sonnet", messages=HELLO, stream=streamed))
    assert raised.value.status_code == status
    assert raised.value.response.headers["x-gateway"] == "claude-gateway"
    error: Any = raised.value.body
    assert {"message", "type", "param", "code"} <= error.keys()
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("failure", [Answer("some words here " * 4, error_after=5), Answer("words " * 9, cut_after=5)])
def test_a_failure_in_mid_stream_is_told_inside_it(sdk: openai.OpenAI, claude: Simulator, failure: Answer) -> None:
    claude.script(failure)
    chunks: list[Any] = []
    with pytest.raises(openai.APIError) as raised:
        chunks.extend(sdk.chat.completions.create(model="sonnet", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert raised.value.message


def test_a_wrong_key_is_refused_before_anything_else(gateway: RunningSidecar, claude: Simulator) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="sonnet", messages=HELLO)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
    assert claude.ledger.messages == []


async def test_the_async_client_works_the_same(gateway: RunningSidecar, claude: Simulator) -> None:
    claude.script(Answer("Hello there."))
    async with openai.AsyncOpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        stream = await client.chat.completions.create(model="haiku", messages=HELLO, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello there."


def test_the_routes_stand_without_v1_too(gateway: RunningSidecar, claude: Simulator) -> None:
    with openai.OpenAI(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        assert client.chat.completions.create(model="sonnet", messages=HELLO).choices
        assert client.models.list().data


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{}", "model"),
        (b'{"messages": [{"role": "user", "content": "hi"}]}', "model"),
        (b'{"model": "sonnet", "messages": []}', "messages"),
        (b'{"model": "sonnet", "messages": [{"role": "user", "content": NaN}]}', "not valid JSON"),
    ],
)
def test_a_body_that_makes_no_sense_is_told_what_is_wrong(
    gateway: RunningSidecar, claude: Simulator, body: bytes, complaint: str
) -> None:
    answer = httpx2.post(
        f"{gateway.url}/v1/chat/completions", content=body, headers={"authorization": f"Bearer {gateway.key}"}
    )
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert claude.ledger.messages == []


def test_a_schema_too_deep_to_pass_on_is_told_so(gateway: RunningSidecar, claude: Simulator) -> None:
    schema: dict[str, Any] = {}
    for _ in range(150):
        schema = {"properties": {"a": schema}}
    tools = [{"type": "function", "function": {"name": "deep", "parameters": schema}}]
    body = json.dumps({"model": "sonnet", "messages": HELLO, "tools": tools})
    answer = httpx2.post(
        f"{gateway.url}/v1/chat/completions", content=body, headers={"authorization": f"Bearer {gateway.key}"}
    )
    assert answer.status_code == 400
    assert "nested too deep" in answer.json()["error"]["message"]
    assert claude.ledger.messages == []
