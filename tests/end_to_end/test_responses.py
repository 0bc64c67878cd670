"""The real OpenAI SDK on `/v1/responses`, against a running sidecar in front of the simulator, over real sockets."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import openai
import orjson
import pytest
from pydantic import BaseModel

from sidecar.conversation import positions_of
from sidecar.simulator.answers import Answer, Failure, RedactedThinking, Text, Thinking, ToolCall, refusal
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.response_answers import checked_events, checked_response
from tests.support.sidecar import RunningSidecar
from tests.support.waiting import until

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
ENCRYPTED: Any = ["reasoning.encrypted_content"]
THOUGHTFUL: Any = {"effort": "high", "summary": "auto"}


@pytest.fixture
def sdk(gateway: RunningSidecar) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


def sent(claude: Simulator) -> Any:
    """The body of the newest request that reached Claude."""
    return json.loads(claude.ledger.messages[-1].body)


def post(gateway: RunningSidecar, **body: Any) -> httpx2.Response:
    headers = {"authorization": f"Bearer {gateway.key}"}
    return httpx2.post(f"{gateway.url}/v1/responses", json={"model": "sonnet", **body}, headers=headers)


def assert_prefixes_hold(claude: Simulator, requests: int) -> None:
    """Each prompt repeats the one before it byte for byte."""
    prompts = []
    for row in claude.ledger.wait(requests):
        assert row.status == 200, row
        positions = positions_of(orjson.loads(row.body))
        assert positions is not None
        prompts.append([(at.zone, at.role, at.raw) for at in positions])  # raw: as it was written, without cache marks
    for earlier, later in pairwise(prompts):
        assert later[: len(earlier)] == earlier


def test_a_plain_answer_has_text_usage_and_a_status(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer("Hello there."))
    answer = sdk.responses.create(model="sonnet", instructions="Be brief.", input="hello")
    [row] = claude.ledger.wait(1)
    assert answer.output_text == "Hello there."
    assert (answer.status, answer.model) == ("completed", "claude-sonnet-5-5")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (row.prompt_tokens, row.output_tokens)
    assert [block["text"] for block in sent(claude)["system"]] == ["Be brief."]


def test_every_byte_of_an_answer_is_openais(gateway: RunningSidecar, claude: Simulator) -> None:
    ask = {"input": "hello", "tools": [WEATHER], "reasoning": THOUGHTFUL, "model": "opus", "metadata": {"a": "b"}}
    parts = (Thinking("Hm."), Text("Größe, 猫"), ToolCall("get_weather", {"city": "Köln"}))
    claude.script(Answer(parts), Answer(parts, delta_chars=3, chunk_sizes=(3, 1, 50)))
    whole = checked_response(post(gateway, **ask).json())
    streamed = post(gateway, **ask, stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    told = checked_events(streamed.content)[-1]["response"]
    assert _shape(told) == _shape(whole)
    assert whole["metadata"] == {"a": "b"}


def _shape(response: Any) -> Any:
    """Without what is new in every answer: ids, times and the blanks in the JSON of arguments."""
    items = []
    for item in response["output"]:
        arguments = {"arguments": json.loads(item["arguments"])} if "arguments" in item else {}
        items.append({**{name: value for name, value in item.items() if name not in ("id", "call_id")}, **arguments})
    new = ("id", "created_at", "completed_at", "output", "usage")
    return items, {name: value for name, value in response.items() if name not in new}


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_loop_of_tools_keeps_its_prefix_and_its_thinking(
    sdk: openai.OpenAI, claude: Simulator, streamed: bool, stored: bool
) -> None:
    claude.script(
        Answer((Thinking("Two."), ToolCall("get_weather", {"city": "Bonn"}), ToolCall("get_weather", {"city": "Ulm"}))),
        Answer((Thinking("", 40), RedactedThinking(), ToolCall("get_weather", {"city": "Rom"}))),
        Answer((Thinking("Done."), Text("All sunny."))),
        Answer("You are welcome."),
    )
    ask: Any = {"model": "opus", "tools": [WEATHER], "include": ENCRYPTED, "reasoning": THOUGHTFUL, "store": stored}
    row: list[Any] = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    news, before = row, None
    for turn in range(4):
        asked = {**ask, "previous_response_id": before, "input": news} if stored else {**ask, "input": row}
        if streamed:
            with sdk.responses.stream(**asked) as stream:
                answer: Any = stream.get_final_response()
        else:
            answer = sdk.responses.create(**asked)
        before = answer.id
        row = [*row, *(item.to_dict() for item in answer.output)]
        news = [
            {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
            for item in reversed(answer.output)
            if item.type == "function_call"
        ] or [{"role": "user", "content": f"and {turn}?"}]
        row = [*row, *news]
    assert answer.output_text == "You are welcome."
    assert_prefixes_hold(claude, 4)
    thinking = [
        block
        for message in sent(claude)["messages"]
        for block in message["content"]
        if block["type"] in ("thinking", "redacted_thinking")
    ]
    assert [block.get("thinking") for block in thinking] == ["Two.", "", None, "Done."]


def test_two_modes_of_one_conversation_send_claude_the_same(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer((Thinking("Hm."), Text("One."))), "Two.", "Two.")
    ask: Any = {"model": "opus", "include": ENCRYPTED, "reasoning": THOUGHTFUL}
    first = sdk.responses.create(**ask, input="hello")
    sdk.responses.create(**ask, input="and?", previous_response_id=first.id)
    echoed: Any = [{"role": "user", "content": "hello"}, *(item.to_dict() for item in first.output)]
    sdk.responses.create(**ask, input=[*echoed, {"role": "user", "content": "and?"}])
    _, stored, stateless = [json.loads(row.body)["messages"] for row in claude.ledger.wait(3)]
    assert stored == stateless


def test_thinking_that_nobody_sends_back_is_remembered_here(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer((Thinking("Hm."), ToolCall("get_weather", {"city": "Bonn"}))), "Sunny.")
    ask: Any = {"model": "opus", "tools": [WEATHER], "reasoning": {"effort": "high"}}
    first = sdk.responses.create(**ask, input="remember my thoughts")
    [call] = [item for item in first.output if item.type == "function_call"]
    news: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    sdk.responses.create(**ask, input=news, previous_response_id=first.id)
    assert [block["type"] for block in sent(claude)["messages"][1]["content"]] == ["thinking", "tool_use"]


def test_structured_output_parses_into_the_clients_own_type(sdk: openai.OpenAI, claude: Simulator) -> None:
    class City(BaseModel):
        name: str
        people: int

    answer = sdk.responses.parse(model="sonnet", input="hello", text_format=City)
    assert isinstance(answer.output_parsed, City)
    assert sent(claude)["output_config"]["format"]["type"] == "json_schema"


def test_images_and_files_reach_claude_in_messages_and_in_results(sdk: openai.OpenAI, claude: Simulator) -> None:
    pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # noqa: E501
    content: Any = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": pixel, "detail": "auto"},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
    ]
    call: Any = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"}
    output: Any = {"type": "function_call_output", "call_id": "c1", "output": content[:2]}
    sdk.responses.create(model="sonnet", tools=[WEATHER], input=[{"role": "user", "content": content}, call, output])
    [row] = claude.ledger.wait(1)
    assert row.status == 200
    first, _, result = sent(claude)["messages"]
    assert [block["type"] for block in first["content"]] == ["text", "image", "document", "document"]
    assert [block["type"] for block in result["content"][0]["content"]] == ["text", "image"]


def test_a_custom_tool_is_called_with_its_words(sdk: openai.OpenAI, claude: Simulator) -> None:
    patch = "*** Begin Patch\n+ünsäglich\n*** End Patch"
    claude.script(Answer(ToolCall("apply_patch", {"input": patch})), "Done.")
    tool: Any = {
        "type": "custom", "name": "apply_patch", "description": "Edits files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
    }  # fmt: skip
    with sdk.responses.stream(model="sonnet", input="edit", tools=[tool]) as stream:
        events: list[Any] = list(stream)
        answer = stream.get_final_response()
    [call] = answer.output
    assert call.type == "custom_tool_call"
    assert call.input == patch
    assert "".join(event.delta for event in events if event.type == "response.custom_tool_call_input.delta") == patch
    output: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "ok"}
    sdk.responses.create(model="sonnet", input=[output], tools=[tool], previous_response_id=answer.id)
    assert sent(claude)["messages"][1]["content"][0]["input"] == {"input": patch}


def test_openais_own_shell_is_a_tool_whose_calls_come_back_as_its_items(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer(ToolCall("local_shell", {"command": ["ls", "-l"]})), "Two files.")
    with sdk.responses.stream(model="sonnet", input="look", tools=[{"type": "local_shell"}]) as stream:
        answer = stream.get_final_response()
    [call] = answer.output
    assert call.type == "local_shell_call"
    assert call.action.command == ["ls", "-l"]
    output: Any = {"type": "local_shell_call_output", "id": call.call_id, "output": "a\nb"}
    sdk.responses.create(
        model="sonnet", input=[output], tools=[{"type": "local_shell"}], previous_response_id=answer.id
    )
    result = sent(claude)["messages"][-1]["content"][0]
    assert (result["tool_use_id"], result["content"]) == (call.call_id, "a\nb")


def test_a_search_runs_at_claudes(sdk: openai.OpenAI, claude: Simulator) -> None:
    answer = sdk.responses.create(
        model="sonnet", input='call web_search {"query": "rain"}', tools=[{"type": "web_search"}]
    )
    search, message = answer.output
    assert search.type == "web_search_call"
    assert message.type == "message"
    assert answer.output_text == "I looked it up. A page says all about rain."
    part: Any = message.content[0]
    assert part.annotations[0].url == "https://example.com/1"


@pytest.mark.parametrize("stored", [True, False])
def test_a_conversation_goes_on_after_thinking_about_a_search(
    sdk: openai.OpenAI, claude: Simulator, stored: bool
) -> None:
    """Its thinking may not come back without the search, and an item has no room for that."""
    page = {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "x"}
    claude.script(
        Answer(
            (
                Thinking("I must look."),
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]},
                Thinking("I see."),
                Text("It rains."),
            )
        ),
        "Still.",
    )
    ask: Any = {"model": "opus", "include": ENCRYPTED, "reasoning": THOUGHTFUL, "tools": [{"type": "web_search"}]}
    first = sdk.responses.create(**ask, input="rain?")
    assert [item.type for item in first.output] == ["reasoning", "web_search_call", "reasoning", "message"]
    news: Any = [{"role": "user", "content": "and now?"}]
    if stored:
        sdk.responses.create(**ask, input=news, previous_response_id=first.id)
    else:
        row: Any = [{"role": "user", "content": "rain?"}, *(item.to_dict() for item in first.output), *news]
        sdk.responses.create(**ask, input=row)
    assert [row.status for row in claude.ledger.wait(2)] == [200, 200]
    assert [block["type"] for block in sent(claude)["messages"][1]["content"]] == ["text"]


def test_a_refusal_is_an_incomplete_answer(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(refusal(explanation="Not this."))
    answer = sdk.responses.create(model="sonnet", input="hello")
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "content_filter"


def test_a_limit_of_the_client_is_kept_and_told(sdk: openai.OpenAI, claude: Simulator) -> None:
    answer = sdk.responses.create(model="sonnet", input="tell me a long story, please", max_output_tokens=3)
    assert answer.status == "incomplete"
    assert sent(claude)["max_tokens"] == 3


def test_stored_responses_are_shown_listed_and_deleted(sdk: openai.OpenAI, claude: Simulator) -> None:
    first = sdk.responses.create(model="sonnet", input="hello")
    rest: Any = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "user", "content": "c"}]
    second = sdk.responses.create(model="sonnet", input=rest, previous_response_id=first.id)
    assert sdk.responses.retrieve(second.id).to_dict() == second.to_dict()
    page = sdk.responses.input_items.list(second.id, order="asc", limit=2)
    assert page.has_more
    assert [item.content[0].text for item in page] == ["a", "b", "c"]  # type: ignore[union-attr]
    assert [item.content[0].text for item in sdk.responses.input_items.list(second.id)] == ["c", "b", "a"]  # type: ignore[union-attr]
    sdk.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="went on from") as raised:
        sdk.responses.create(model="sonnet", input="more", previous_response_id=second.id)
    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""), ("POST", "/input_tokens"), ("POST", "/compact"), ("GET", "/resp_1"),
        ("GET", "/resp_1?stream=true"), ("DELETE", "/resp_1"),
        ("GET", "/resp_1/input_items?limit=0"), ("POST", "/resp_1/cancel"),
    ],
)  # fmt: skip
def test_nothing_is_told_without_a_key(gateway: RunningSidecar, claude: Simulator, method: str, path: str) -> None:
    assert httpx2.request(method, f"{gateway.url}/v1/responses{path}").status_code == 401
    assert claude.ledger.messages == []


def test_what_is_not_to_be_stored_is_not(sdk: openai.OpenAI, claude: Simulator) -> None:
    answer = sdk.responses.create(model="sonnet", input="hello", store=False)
    with pytest.raises(openai.NotFoundError, match="store"):
        sdk.responses.retrieve(answer.id)


def test_an_item_may_be_referred_to(sdk: openai.OpenAI, claude: Simulator) -> None:
    first = sdk.responses.create(model="sonnet", input="hello")
    hello: Any = {"role": "user", "content": "hello"}
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    sdk.responses.create(model="sonnet", input=[hello, reference, {"role": "user", "content": "and?"}])
    assert sent(claude)["messages"][1]["content"][0]["text"] == first.output_text
    with pytest.raises(openai.NotFoundError, match="send the item itself"):
        sdk.responses.create(model="sonnet", input=[hello, {"type": "item_reference", "id": "msg_elsewhere"}])


def test_a_conversation_goes_on_after_a_restart(tmp_path: Path, running_simulator: RunningSimulator) -> None:
    with RunningSidecar(tmp_path, running_simulator) as gateway:
        answer = post(gateway, input="hello").json()
    with RunningSidecar(tmp_path, running_simulator) as gateway:
        assert post(gateway, input="and?", previous_response_id=answer["id"]).status_code == 200
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as sdk:
            assert sdk.responses.retrieve(answer["id"]).output_text
    with RunningSidecar(tmp_path, running_simulator, stored_responses_days=0) as gateway:
        assert post(gateway, input="and?", previous_response_id=answer["id"]).status_code == 400


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"background": True}, "stream"),
        ({"conversation": "conv_1"}, "previous_response_id"),
        ({"prompt": {"id": "pmpt_1"}}, "instructions"),
        ({"input": [{"type": "hologram"}]}, "hologram"),
        ({"input": []}, "at least one"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "uploaded"),
        ({"previous_response_id": "resp_gone"}, "whole conversation"),
        ({"tools": [{"type": "teleporter"}]}, "teleporter"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_a_way_out(
    gateway: RunningSidecar, claude: Simulator, asked: Any, words: str
) -> None:
    answer = post(gateway, **{"input": "hello", **asked})
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert claude.ledger.messages == []


def test_cancelling_says_how_to(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="close the connection"):
        sdk.responses.cancel("resp_1")


def test_counting_and_compacting_say_what_to_use_instead(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/messages/count_tokens"):
        sdk.responses.input_tokens.count(model="sonnet", input="hello")
    with pytest.raises(openai.NotFoundError, match="summary"):
        sdk.responses.compact(model="sonnet", input="hello")


def test_what_is_left_out_is_reported(gateway: RunningSidecar, claude: Simulator) -> None:
    answer = post(gateway, input="hello", truncation="auto", max_tool_calls=3, tools=[{"type": "image_generation"}])
    report = answer.headers["x-gateway-report"]
    assert {"truncation=dropped", "max_tool_calls=dropped"} <= {part.split(" (")[0] for part in report.split("; ")}
    assert "makes no images" in report


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure(429, retry_after=7), openai.RateLimitError),
        (Failure(529), openai.InternalServerError),
        (Answer("never seen", error_after=1), openai.InternalServerError),
    ],
)
def test_failures_of_claude_are_the_sdks_own_exceptions(
    sdk: openai.OpenAI, claude: Simulator, failure: Any, expected: type[Exception], streamed: bool
) -> None:
    claude.script(failure)
    with pytest.raises(expected):
        list(sdk.responses.create(model="sonnet", input="hello", stream=streamed))


def test_an_error_in_mid_stream_is_raised_and_ends_in_a_failed_response(
    gateway: RunningSidecar, sdk: openai.OpenAI, claude: Simulator
) -> None:
    claude.script(Answer("A long answer. " * 9, error_after=9), Answer("A long answer. " * 9, error_after=9))
    events = checked_events(post(gateway, input="hello", stream=True).content)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(sdk.responses.create(model="sonnet", input="hello", stream=True))


def test_comments_in_a_silent_stream_harm_no_sdk(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    claude.script(Answer("Here I am.", first_byte_after=0.3))
    with (
        RunningSidecar(tmp_path, running_simulator, ping_seconds=0.05) as gateway,
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as sdk,
        sdk.responses.stream(model="sonnet", input="hello") as stream,
    ):
        assert stream.get_final_response().output_text == "Here I am."


def test_a_client_that_leaves_stops_claude(gateway: RunningSidecar, claude: Simulator) -> None:
    claude.script(Answer("word " * 40, silent_after=9))
    headers = {"authorization": f"Bearer {gateway.key}"}
    ask = {"model": "sonnet", "input": "hello", "stream": True}
    with httpx2.stream("POST", f"{gateway.url}/v1/responses", json=ask, headers=headers) as answer:
        next(answer.iter_bytes())
    [row] = claude.ledger.wait(1)
    assert row.cancelled


def test_a_client_that_hangs_up_at_the_last_event_has_had_it_all(
    gateway: RunningSidecar, claude: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """As Codex does."""
    headers = {"authorization": f"Bearer {gateway.key}"}
    ask = {"model": "sonnet", "input": "hello", "stream": True}
    with caplog.at_level("INFO", "cgw.requests"):
        with httpx2.stream("POST", f"{gateway.url}/v1/responses", json=ask, headers=headers) as answer:
            next(line for line in answer.iter_lines() if line == "event: response.completed")
        until(lambda: caplog.messages)
    assert "200 responses" in caplog.text


def test_codex_finds_its_own_list_of_models_empty(gateway: RunningSidecar) -> None:
    headers = {"authorization": f"Bearer {gateway.key}"}
    told = httpx2.get(f"{gateway.url}/v1/models?client_version=0.169.0", headers=headers).json()
    assert told["models"] == []
    assert told["data"]


def test_one_answer_serves_both_of_openais_dialects(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    claude.script(Answer("The one answer."))
    with (
        RunningSidecar(tmp_path, running_simulator, enable_response_cache=True) as gateway,
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as sdk,
    ):
        chat = sdk.chat.completions.create(model="sonnet", messages=[{"role": "user", "content": "hello"}])
        assert chat.choices[0].message.content == "The one answer."
        raw = sdk.responses.with_raw_response.create(model="sonnet", input="hello")
        assert raw.headers["x-cache"] == "HIT"
        assert raw.parse().output_text == "The one answer."
        with sdk.responses.stream(model="sonnet", input="hello") as stream:
            assert stream.get_final_response().output_text == "The one answer."
    assert len(claude.ledger.messages) == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_a_responses_body_on_the_chat_route_is_answered_in_chat_form(
    gateway: RunningSidecar, claude: Simulator, streamed: bool
) -> None:
    claude.script(Answer((Text("Look."), ToolCall("get_weather", {"city": "Bonn"}))))
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as sdk:
        body = {"input": [{"role": "user", "content": "hello"}], "tools": [WEATHER], "store": False}
        completion: Any = sdk.post(
            "/chat/completions",
            cast_to=openai.types.chat.ChatCompletion,
            body={"model": "sonnet", "stream": streamed, **body},
            stream=streamed,
            stream_cls=openai.Stream[openai.types.chat.ChatCompletionChunk],
        )
        if streamed:
            chunks = list(completion)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Look."
            assert chunks[-1].choices[0].finish_reason == "tool_calls"
        else:
            assert completion.choices[0].message.content == "Look."
            [call] = completion.choices[0].message.tool_calls
            assert json.loads(call.function.arguments) == {"city": "Bonn"}


def test_the_log_says_which_dialect_it_was(
    gateway: RunningSidecar, claude: Simulator, sdk: openai.OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "cgw.requests"):
        sdk.responses.create(model="sonnet", input="hello")
        until(lambda: caplog.messages)
    assert "200 responses openai-sdk sonnet -> claude-sonnet-5-5" in caplog.text
