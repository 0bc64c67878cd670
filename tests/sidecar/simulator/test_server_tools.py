"""The simulator runs Claude's own tools without a web and without a machine, and bills the searches."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import pytest

from sidecar.simulator.server import RunningSimulator

SEARCH: Any = {"type": "web_search_20250305", "name": "web_search"}
EXECUTION: Any = {"type": "code_execution_20250825", "name": "code_execution"}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with RunningSimulator() as one:
        yield one


def asked(text: str, *tools: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5-5", "max_tokens": 900, "messages": messages, "tools": list(tools)}


def test_a_search_is_answered_with_pages_citations_and_its_count(running: RunningSimulator) -> None:
    ask = asked('call web_search {"query": "rain"}', SEARCH)
    with anthropic.Anthropic(base_url=running.url, api_key=running.api_key) as sdk:
        whole = sdk.messages.create(**ask)
        with sdk.messages.stream(**ask) as stream:
            streamed = stream.get_final_message()
    kinds = ["server_tool_use", "web_search_tool_result", "text", "text"]
    for message in (whole, streamed):
        assert [block.type for block in message.content] == kinds
        last: Any = message.content[-1]
        assert last.citations[0].url == "https://example.com/1"
        assert message.usage.server_tool_use is not None
        assert message.usage.server_tool_use.web_search_requests == 1
        assert message.stop_reason == "end_turn"
    plain = asked("hello", SEARCH)
    with anthropic.Anthropic(base_url=running.url, api_key=running.api_key) as sdk:
        assert sdk.messages.create(**plain).usage.server_tool_use is None
    rows = running.simulator.ledger.wait(3)
    assert [row.web_searches for row in rows] == [1, 1, 0]
    assert rows[0].cost - rows[2].cost > Decimal(10_000)


def test_code_is_run_by_its_server_and_not_by_the_client(running: RunningSimulator) -> None:
    ask = asked('call code_execution {"command": "ls"}\ncall read {"path": "a"}', EXECUTION, {
        "name": "read", "input_schema": {"type": "object"},
    })  # fmt: skip
    with anthropic.Anthropic(base_url=running.url, api_key=running.api_key) as sdk:
        message = sdk.messages.create(**ask)
    kinds = ["server_tool_use", "bash_code_execution_tool_result", "text", "tool_use"]
    assert [block.type for block in message.content] == kinds
    assert message.stop_reason == "tool_use"
