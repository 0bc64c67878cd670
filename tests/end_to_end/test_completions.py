"""Autocomplete: OpenAI's completions by its SDK, and the route on which editors fill in holes."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from sidecar.simulator.answers import Answer, Failure
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

HOLE: Any = {"model": "haiku", "prompt": "def add(a, ", "suffix": "\n    return a + b", "max_tokens": 40}


@pytest.fixture(scope="module")
def sdk(gateway: RunningSidecar) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


def test_a_hole_is_filled_whole_and_streamed(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer("b):"), Answer("b):", delta_chars=1))
    whole = sdk.completions.create(**HOLE)
    chunks = list(sdk.completions.create(**HOLE, stream=True, stream_options={"include_usage": True}))
    assert (whole.object, whole.choices[0].text, whole.choices[0].finish_reason) == ("text_completion", "b):", "stop")
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "b):"
    assert chunks[-1].usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0
    first, second = (json.loads(row.body) for row in claude.ledger.wait(2))
    assert first == {name: value for name, value in second.items() if name != "diagnostics"}
    assert first["messages"][0]["content"][0]["text"] == "<before>def add(a, </before><after>\n    return a + b</after>"
    assert first["max_tokens"] == 40


def test_several_prompts_and_completions_come_in_the_order_of_the_prompts(
    sdk: openai.OpenAI, claude: Simulator
) -> None:
    claude.when("<before>a</before>", Answer("1"))
    claude.when("<before>b</before>", Answer("2"))
    whole = sdk.completions.create(model="haiku", prompt=["a", "b"], n=2, echo=True)
    assert [(choice.index, choice.text) for choice in whole.choices] == [(0, "a1"), (1, "a1"), (2, "b2"), (3, "b2")]
    chunks = list(sdk.completions.create(model="haiku", prompt=["a", "b"], n=2, echo=True, stream=True))
    told = ["", "", "", ""]
    for chunk in chunks:
        for choice in chunk.choices:
            told[choice.index] += choice.text
    assert told == ["a1", "a1", "b2", "b2"]


def test_the_end_of_the_line_is_a_stop_sequence(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Answer("b):\n    return a"), Answer("b):\n    return a", delta_chars=2))
    assert sdk.completions.create(model="haiku", prompt="x", stop=["\n"], max_tokens=99).choices[0].text == "b):"
    chunks = list(sdk.completions.create(model="haiku", prompt="x", stop="\n", max_tokens=99, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "b):"


def test_token_ids_are_refused_and_what_is_lost_is_reported(sdk: openai.OpenAI, claude: Simulator) -> None:
    with pytest.raises(openai.BadRequestError, match="vocabulary"):
        sdk.completions.create(model="haiku", prompt=[1, 2, 3])
    answer = sdk.completions.with_raw_response.create(model="haiku", prompt="x", logprobs=2, best_of=3)
    report = answer.headers["x-gateway-report"]
    assert "logprobs=dropped" in report
    assert "best_of=dropped" in report
    assert "prompt=changed" in report


def test_an_overload_is_an_error_before_and_in_the_stream(sdk: openai.OpenAI, claude: Simulator) -> None:
    claude.script(Failure(529), Answer("word " * 9, error_after=6))
    with pytest.raises(openai.InternalServerError):
        sdk.completions.create(**HOLE)
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(sdk.completions.create(**HOLE | {"suffix": None}, stream=True))


def test_the_fill_in_route_answers_in_chunks_of_a_chat(gateway: RunningSidecar, claude: Simulator) -> None:
    claude.script(Answer("b):\n    pass"), Answer("b):\n    pass"))
    ask = HOLE | {"stop": "\n"}
    url, headers = f"{gateway.url}/v1/fim/completions", {"x-api-key": gateway.key}
    streamed = httpx2.post(url, json=ask | {"stream": True}, headers=headers)
    chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "b):"
    whole = httpx2.post(url, json=ask, headers=headers).json()
    assert whole["choices"][0]["message"]["content"] == "b):"
