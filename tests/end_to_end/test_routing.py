"""Routing over HTTP: what the client asks for, which headers say what was chosen, and what the ledger has of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sidecar.ledger.columns import ExportRange
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT
from sidecar.simulator.answers import Failure
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
CHAT, NATIVE = "/v1/chat/completions", "/v1/messages"
TITLE = "You are a title generator. You output ONLY a thread title."
WORK = "Add a flag --quiet to the command."
HARD = "Find the race condition in the scheduler."


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routing")


@pytest.fixture(scope="module")
def sidecar(home: Path, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(home, running_simulator, enable_response_cache=True) as sidecar:
        yield sidecar


def post(sidecar: RunningSidecar, path: str, words: str, *, system: str = "", **more: Any) -> httpx2.Response:
    headers = {"x-api-key": sidecar.key, "anthropic-version": "2026-10-21", **more.pop("headers", {})}
    messages = [{"role": "user", "content": words}]
    body: dict[str, Any] = {"model": "auto", "messages": messages, "max_tokens": 500, **more}
    if system and path == NATIVE:
        body["system"] = system
    elif system:
        body["messages"] = [{"role": "system", "content": system}, *messages]
    return httpx2.post(sidecar.url + path, json=body, headers=headers, timeout=60)


PATHS = pytest.mark.parametrize("path", [CHAT, NATIVE])


@PATHS
@pytest.mark.parametrize(
    ("words", "system", "model", "reason"),
    [(WORK, TITLE, HAIKU, "errand"), (WORK, "", SONNET, "ordinary"), (HARD, "", OPUS, "complex")],
)
def test_auto_is_routed_and_the_answer_says_how(
    sidecar: RunningSidecar, claude: Simulator, path: str, words: str, system: str, model: str, reason: str
) -> None:
    answer = post(sidecar, path, f"{words} {path}", system=system)
    assert answer.status_code == 200
    assert answer.headers["x-gateway-model"] == claude.ledger.messages[-1].model == model
    route = answer.headers["x-gateway-route"]
    assert route.startswith(f"{model}; reason={reason}")
    assert all(f"{other} $" in route for other in (HAIKU, SONNET, OPUS))


def test_a_repeated_request_has_its_answer_from_the_cache_and_each_wish_its_own(
    sidecar: RunningSidecar, claude: Simulator
) -> None:
    wishes = ("auto", "auto", "auto:best", "auto:best")
    answers = [post(sidecar, CHAT, "Say it twice.", model=wish) for wish in wishes]
    told = [(one.headers["x-cache"], one.headers["x-gateway-model"]) for one in answers]
    assert told == [("MISS", SONNET), ("HIT", SONNET), ("MISS", OPUS), ("HIT", OPUS)]
    reasons = [one.headers["x-gateway-route"].split("; ")[1] for one in answers]
    assert reasons == [reasons[0], reasons[0], reasons[2], reasons[2]], "a hit tells the route that was decided"
    assert "reason=alias" not in reasons
    assert len(claude.ledger.messages) == 2


@pytest.mark.parametrize(
    ("model", "headers", "answers", "reason"),
    [
        ("opus", {}, OPUS, "alias"),
        (OPUS, {}, OPUS, "exact"),
        ("auto", {"x-gateway-routing": "off"}, SONNET, "alias"),
        ("auto", {"x-gateway-use-model": "opus"}, OPUS, "pinned"),
        ("opus", {"x-gateway-use-model": "auto"}, HAIKU, "errand"),
        ("auto:best", {}, HAIKU, "errand"),
        ("auto:fast", {}, HAIKU, "errand"),
        ("openai/auto", {}, HAIKU, "errand"),
    ],
)
def test_what_is_asked_for_decides_whether_routing_acts(
    sidecar: RunningSidecar, claude: Simulator, model: str, headers: dict[str, str], answers: str, reason: str
) -> None:
    answer = post(sidecar, CHAT, f"{model} {headers}", system=TITLE, model=model, headers=headers)
    assert (answer.headers["x-gateway-model"], claude.ledger.messages[-1].model) == (answers, answers)
    assert f"reason={reason}" in answer.headers["x-gateway-route"]


def test_a_model_that_nobody_knows_is_told_also_when_a_header_names_it(sidecar: RunningSidecar) -> None:
    answer = post(sidecar, CHAT, WORK, headers={"x-gateway-use-model": "gpt-nobody"})
    assert answer.status_code == 404
    assert "gpt-nobody" in answer.json()["error"]["message"]


def test_the_ledger_has_the_reason_and_what_routing_saved(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with RunningSidecar(tmp_path, running_simulator) as sidecar:
        post(sidecar, CHAT, WORK, system=TITLE)
        post(sidecar, CHAT, HARD)
    database = Database.open(None, tmp_path)
    found = ExportRange(database, project=EVERY_PROJECT)
    columns = [column.name for column in found.columns]
    errand, hard = [dict(zip(columns, row, strict=True)) for page in found.pages() for row in zip(*page, strict=True)]
    database.close()
    assert (errand["model_requested"], errand["model"], errand["route_reason"]) == ("auto", HAIKU, "errand")
    assert (hard["model"], hard["route_reason"]) == (OPUS, "complex")
    assert hard["route"].startswith(f"{OPUS}; reason=complex; concurrency")
    assert f"{SONNET} $" in hard["route"]
    assert errand["saved_smart_routing_usd"] > 0 > hard["saved_smart_routing_usd"]
    assert errand["saved_usd"] == errand["baseline_usd"] - errand["cost_usd"]


def test_what_was_routed_falls_back_by_the_chain_of_the_model_that_was_chosen(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    chains = {"opus": ["haiku"], "sonnet": ["fable"]}
    breaking = {"circuit_breaker_enabled": True, "breaker_calls": 4, "breaker_open_seconds": 600}
    settings: dict[str, Any] = {"fallback": chains, "enable_response_cache": True, **breaking}
    claude.when(lambda request: request["model"] in (OPUS, SONNET), Failure(529))
    with RunningSidecar(tmp_path, running_simulator, **settings) as sidecar:
        for number in range(6):
            hard = post(sidecar, CHAT, f"{HARD} {number}")
            assert hard.headers["x-gateway-model"] == claude.ledger.messages[-1].model == HAIKU
            told = hard.headers["x-gateway-route"]
            assert told.startswith(f"{HAIKU}; reason=fallback; {OPUS} ")
        assert "keeps failing" in told  # its breaker has opened
        assert f"chosen was {HAIKU}" not in told
        again = post(sidecar, CHAT, f"{HARD} 5")
        assert again.headers["x-cache"] == "MISS"  # Opus is to answer once it is back
        for number in range(6):  # now that of the model opens which the name alone means
            post(sidecar, CHAT, f"{WORK} {number}")
        errand = post(sidecar, CHAT, WORK, system=TITLE)
        assert errand.headers["x-gateway-route"].startswith(f"{HAIKU}; reason=errand")
        assert "x-gateway-report" not in errand.headers
    database = Database.open(None, tmp_path)
    found = ExportRange(database, project=EVERY_PROJECT)
    columns = [column.name for column in found.columns]
    row = next(dict(zip(columns, row, strict=True)) for page in found.pages() for row in zip(*page, strict=True))
    database.close()
    assert (row["model"], row["route_reason"]) == (HAIKU, "fallback")
    assert row["route"].startswith(f"{HAIKU}; reason=fallback; {OPUS} does not answer")
    assert f"chosen was {OPUS}; reason=complex; concurrency" in row["route"]


@PATHS
@pytest.mark.parametrize("named", ["claude-x\r\nx-evil: 1", "claude-\u4e2d\u6587", "claude-\u00fc"])
def test_a_models_name_forges_no_header(sidecar: RunningSidecar, path: str, named: str) -> None:
    for more in ({"model": named}, {"model": "auto", "headers": {"x-gateway-use-model": named.encode()}}):
        if b"\r" in more.get("headers", {}).get("x-gateway-use-model", b""):
            continue  # no client can send it
        answer = post(sidecar, path, WORK, **more)
        assert answer.status_code in (200, 404)
        assert "x-evil" not in answer.headers
        assert answer.headers.get("x-gateway-route", "").isascii()
