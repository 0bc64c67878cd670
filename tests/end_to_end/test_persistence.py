"""Retries and the circuit breaker, with the real SDKs in front of a sidecar whose Claude fails on cue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from sidecar import retries
from sidecar.simulator.answers import Answer, Failure
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

HELLO: list[dict[str, str]] = [{"role": "user", "content": "hello"}]
BREAKING = {"breaker_calls": 4, "breaker_open_seconds": 600}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.01)


@pytest.fixture
def steady(tmp_path: Path, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path, running_simulator, retry_enabled=True) as sidecar:
        yield sidecar


@pytest.fixture
def breaking(tmp_path: Path, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path, running_simulator, circuit_breaker_enabled=True, **BREAKING) as sidecar:
        yield sidecar


def chat(sidecar: RunningSidecar, *, stream: bool, model: str = "sonnet") -> tuple[str, dict[str, str]]:
    """The text of an answer and the headers it came with."""
    with openai.OpenAI(base_url=f"{sidecar.url}/v1", api_key=sidecar.key, max_retries=0) as client:
        create = client.chat.completions.with_raw_response.create
        raw = create(model=model, messages=HELLO, stream=stream)  # type: ignore[call-overload]
        answer = raw.parse()
        if not stream:
            return answer.choices[0].message.content, dict(raw.headers)
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices), dict(raw.headers)


def messages(sidecar: RunningSidecar, *, stream: bool, model: str = "claude-sonnet-5-5") -> tuple[str, dict[str, str]]:
    with anthropic.Anthropic(base_url=sidecar.url, api_key=sidecar.key, max_retries=0) as client:
        create = client.messages.with_raw_response.create
        raw = create(model=model, max_tokens=99, messages=HELLO, stream=stream)  # type: ignore[call-overload]
        answer = raw.parse()
        if not stream:
            return answer.content[0].text, dict(raw.headers)
        deltas = (event.delta for event in answer if event.type == "content_block_delta")
        return "".join(delta.text for delta in deltas), dict(raw.headers)


Way = Callable[..., tuple[str, dict[str, str]]]

WAYS = pytest.mark.parametrize("ask", [chat, messages])
STREAMED = pytest.mark.parametrize("stream", [False, True])

BEFORE_CONTENT = [
    pytest.param(Failure(529), id="overloaded"),
    pytest.param(Failure(500), id="broken inside"),
    pytest.param(Failure(429, retry_after=0), id="too fast"),
    pytest.param(Failure(400, headers={"x-should-retry": "true"}), id="Claude says so"),
    pytest.param(Answer("lost", cut_after=0), id="connection cut"),
]
INSIDE_A_200 = [
    pytest.param(Answer("lost", error_after=0), id="before the message"),
    pytest.param(Answer("lost", error_after=1), id="before its content"),
    pytest.param(Answer("lost", cut_after=1), id="cut before its content"),
]


@WAYS
@STREAMED
@pytest.mark.parametrize("failure", BEFORE_CONTENT)
def test_a_client_never_hears_of_a_failure_that_passes(
    steady: RunningSidecar, claude: Simulator, ask: Way, stream: bool, failure: Failure | Answer
) -> None:
    claude.script(failure, failure, "at last")
    text, headers = ask(steady, stream=stream)
    assert text == "at last"
    assert headers["x-gateway-retries"] == "2"
    assert len(claude.ledger.wait(3)) == 3


@WAYS
@pytest.mark.parametrize("failure", INSIDE_A_200)
def test_nor_of_one_inside_a_200_before_any_content(
    steady: RunningSidecar, claude: Simulator, ask: Way, failure: Answer
) -> None:
    claude.script(failure, "at last")
    text, headers = ask(steady, stream=True)
    assert text == "at last"
    assert headers["x-gateway-retries"] == "1"
    assert len(claude.ledger.wait(2)) == 2


@WAYS
@STREAMED
def test_after_three_tries_the_client_hears_it(
    steady: RunningSidecar, claude: Simulator, ask: Way, stream: bool
) -> None:
    claude.script(*[Failure(529)] * 9)
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError), match="verloaded"):
        ask(steady, stream=stream)
    assert len(claude.ledger.messages) == 3


@WAYS
@STREAMED
@pytest.mark.parametrize(
    "failure",
    [Failure(400), Failure(401), Failure(403), Failure(404), Failure(500, headers={"x-should-retry": "false"})],
)
def test_what_would_fail_again_is_asked_once(
    steady: RunningSidecar, claude: Simulator, ask: Way, stream: bool, failure: Failure
) -> None:
    claude.script(failure, "never")
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
        ask(steady, stream=stream)
    assert len(claude.ledger.messages) == 1


@WAYS
def test_once_content_went_out_nothing_is_asked_again(steady: RunningSidecar, claude: Simulator, ask: Way) -> None:
    claude.script(Answer("a beginning and more of it", error_after=4), "never")
    with pytest.raises((openai.APIError, anthropic.APIError), match="verloaded"):
        ask(steady, stream=True)
    assert len(claude.ledger.messages) == 1


@WAYS
def test_a_wait_that_is_longer_than_the_client_has_is_not_begun(
    steady: RunningSidecar, claude: Simulator, ask: Way
) -> None:
    claude.script(Failure(429, retry_after=120), "never")
    with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as refusal:
        ask(steady, stream=False)
    assert refusal.value.response.headers["retry-after"] == "120"
    assert len(claude.ledger.messages) == 1


@WAYS
@STREAMED
def test_while_claude_keeps_failing_it_is_not_asked_and_then_asked_once(
    breaking: RunningSidecar, claude: Simulator, ask: Way, stream: bool, later: Callable[[float], None]
) -> None:
    claude.script(*[Failure(529)] * 4)
    for _ in range(4):
        with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
            ask(breaking, stream=stream)
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError), match="keeps failing") as refusal:
        ask(breaking, stream=stream)
    assert refusal.value.status_code == 503
    assert int(refusal.value.response.headers["retry-after"]) >= 1
    assert len(claude.ledger.messages) == 4
    later(600)
    claude.script("well again")
    assert ask(breaking, stream=stream)[0] == "well again"


def asked(model: str) -> Callable[[dict[str, object]], bool]:
    return lambda request: request["model"] == model


@STREAMED
def test_the_fallback_that_was_allowed_answers_and_says_so(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, stream: bool
) -> None:
    settings = {**BREAKING, "breaker_open_seconds": 60, "fallback": {"opus": "sonnet"}}
    claude.when(asked("claude-opus-5-5"), Failure(529))
    with RunningSidecar(tmp_path, running_simulator, circuit_breaker_enabled=True, **settings) as sidecar:
        for _ in range(5):
            _, headers = chat(sidecar, stream=stream, model="opus")
            assert headers["x-gateway-model"] == claude.ledger.messages[-1].model == "claude-sonnet-5-5"
            assert "fallback" in headers["x-gateway-report"]
            assert "reason=fallback" in headers["x-gateway-route"]
    models = [row.model for row in claude.ledger.messages]
    assert models.count("claude-opus-5-5") == 4  # then its breaker is open


@WAYS
@STREAMED
def test_a_chain_is_gone_along_until_one_answers(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, ask: Way, stream: bool
) -> None:
    claude.when(asked("claude-opus-5-5"), Failure(404))
    claude.when(asked("claude-haiku-5-5"), Failure(529))
    with RunningSidecar(tmp_path, running_simulator, fallback={"opus": ["haiku", "sonnet"]}) as sidecar:
        _, headers = ask(sidecar, stream=stream, model="claude-opus-5-5")
        assert headers["x-gateway-model"] == "claude-sonnet-5-5"
        with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
            ask(sidecar, stream=stream, model="claude-haiku-5-5")  # for which nothing was allowed


@WAYS
def test_what_is_wrong_with_a_request_is_not_asked_of_another_model(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, ask: Way
) -> None:
    claude.script(Failure(400))
    refused = (openai.BadRequestError, anthropic.BadRequestError)
    with (
        RunningSidecar(tmp_path, running_simulator, fallback={"sonnet": "haiku"}) as sidecar,
        pytest.raises(refused),
    ):
        ask(sidecar, stream=False, model="claude-sonnet-5-5")
    assert [row.model for row in claude.ledger.messages] == ["claude-sonnet-5-5"]
