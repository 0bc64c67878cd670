"""Every scenario in every dialect that has a word for it, streamed and not, and some through the interceptor: the
client hears the same, and Claude is asked the same."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from addons.intercept import ROUTES
from sidecar.simulator.simulator import Simulator
from tests.support.dialects import ROADS as EVERY_ROAD
from tests.support.dialects import Heard, Road
from tests.support.interceptor import RunningInterceptor
from tests.support.scenarios import SCENARIOS, Scenario
from tests.support.sidecar import RunningSidecar

ROADS = [road for road in EVERY_ROAD if road.dialect == "azure" or f"POST {road.path.removeprefix('/v1')}" in ROUTES]
"""Those that are served."""

OPENAI_STATUS = {529: 503}
"""What OpenAI's clients do not know, and get instead."""

HOSTS = {"chat": "https://api.openai.com", "messages": "https://api.anthropic.com"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=60, trust_env=False) as one:
        yield one


@pytest.fixture(scope="module")
def through(gateway: RunningSidecar) -> Iterator[httpx2.Client]:
    """The same sidecar by its second door."""
    with RunningInterceptor(gateway) as interceptor:
        interceptor.wait_for("running")
        trusted = ssl.create_default_context(cafile=str(interceptor.authority.bundle))
        with httpx2.Client(proxy=interceptor.url, verify=trusted, timeout=60, trust_env=False) as one:
            yield one


def rows() -> Iterator[Any]:
    for scenario in SCENARIOS:
        for road in ROADS:
            if road.dialect in scenario.dialects:
                yield pytest.param(scenario, road, id=f"{scenario.name}-{road.name}")


def doors() -> Iterator[Any]:
    for scenario in SCENARIOS:
        for road in ROADS:
            if scenario.doors and road.stream and road.dialect in HOSTS and road.dialect in scenario.dialects:
                yield pytest.param(scenario, road, id=f"{scenario.name}-{road.name}")


@pytest.mark.parametrize(("scenario", "road"), rows())
def test_the_client_hears_what_claude_said(
    gateway: RunningSidecar, client: httpx2.Client, claude: Simulator, scenario: Scenario, road: Road
) -> None:
    claude.script(*scenario.steps)
    check(scenario, road, road.send(client, gateway.url, gateway.key, scenario.question), claude)


@pytest.mark.parametrize(("scenario", "road"), doors())
def test_the_client_hears_it_through_the_interceptor_too(
    through: httpx2.Client, claude: Simulator, scenario: Scenario, road: Road
) -> None:
    claude.script(*scenario.steps)
    check(scenario, road, road.send(through, HOSTS[road.dialect], "sk-the-clients-own", scenario.question), claude)


def test_claude_is_asked_the_same_in_every_dialect(
    gateway: RunningSidecar, client: httpx2.Client, claude: Simulator
) -> None:
    for scenario in SCENARIOS:
        if scenario.status != 200 or "messages" not in scenario.dialects or "completions" in scenario.dialects:
            continue
        asked: dict[str, Any] = {}
        for road in ROADS:
            if road.dialect in scenario.dialects and not road.stream:
                claude.scripted.clear()
                claude.script(*scenario.steps)
                road.send(client, gateway.url, gateway.key, scenario.question)
                asked[road.name] = told(json.loads(claude.ledger.messages[-1].body))
        for name, one in asked.items():
            assert one == asked["messages"], f"{scenario.name}: {name} asks for something else"


def check(scenario: Scenario, road: Road, heard: Heard, claude: Simulator) -> None:
    status = scenario.status
    if road.stream and scenario.streamed_status is not None:
        status = scenario.streamed_status
    elif road.dialect != "messages":
        status = OPENAI_STATUS.get(status, status)
    assert heard.status == status, heard.error
    if scenario.error is not None:
        assert heard.error is not None
        assert scenario.error in heard.error
        return
    assert heard.error is None
    assert heard.finish == scenario.finish
    assert heard.calls == list(scenario.calls)
    assert heard.pages == list(scenario.pages)
    if scenario.text is not None:
        assert heard.text == scenario.text
    if scenario.reasoning is not None:
        assert heard.reasoning == scenario.reasoning
    if road.dialect != "messages":
        assert scenario.reported in heard.report
    wanted = scenario.question.get("n", 1)
    billed = claude.ledger.wait(wanted)
    assert heard.prompt_tokens == sum(row.prompt_tokens for row in billed)
    assert heard.output_tokens == sum(row.output_tokens for row in billed)


def told(body: Any) -> Any:
    """What a request says, but for cache marks and how it is delivered."""
    return [
        [block["text"] for block in body.get("system", ())],
        [(message["role"], [said(block) for block in blocks_of(message)]) for message in body["messages"]],
        [(tool["name"], tool.get("input_schema")) for tool in body.get("tools", ())],
        body.get("tool_choice"),
    ]


def blocks_of(message: Any) -> list[Any]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def said(block: Any) -> Any:
    if block["type"] == "tool_result":
        content = block.get("content") or []
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        return "tool_result", block["tool_use_id"], [said(one) for one in blocks]
    return {name: value for name, value in block.items() if name != "cache_control"}
