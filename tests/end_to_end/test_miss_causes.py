"""Why Claude's cache missed, as whoever watches is told: real requests, and the simulator's cache behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sidecar.exchange import Json
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar

RULES = "".join(f"Rule {number}: read before you write, and write what you have read.\n" for number in range(150))
TOOLS = [
    {"name": name, "description": "Does what it says. " * 20, "input_schema": {"type": "object"}}
    for name in ("read", "write", "search")
]
START = 1_800_000_000.0


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


class Talk:
    """One conversation that goes on by a question a turn; everything about its next request may be changed."""

    def __init__(self, gateway: RunningSidecar, claude: RunningSimulator, opening: str = "Find the bug.") -> None:
        self._gateway, self._claude = gateway, claude
        self.now = START
        self.fields: Json = {"model": "sonnet", "max_tokens": 500, "tools": TOOLS, "system": RULES}
        self.messages: list[Json] = [{"role": "user", "content": opening}]

    def ask(self) -> Json:
        """The request's row, as the dashboard has it."""
        self._claude.simulator.clock.set(self.now)
        answer = httpx2.post(
            f"{self._gateway.url}/v1/messages",
            json={**self.fields, "messages": self.messages},
            headers={"x-api-key": self._gateway.key, "x-cgw-clock": str(self.now)},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        self.messages.append({"role": "assistant", "content": answer.json()["content"]})
        self.messages.append({"role": "user", "content": f"Go on, step {len(self.messages)}. " + "Look again. " * 40})
        self.now += 10
        told = httpx2.get(
            f"{self._gateway.url}/admin/exchanges/{answer.headers['x-request-id']}",
            headers={"x-api-key": self._gateway.key},
            timeout=30,
        )
        row: Json = told.json()["row"]
        return row


@pytest.fixture
def talk(tmp_path: Path, claude: RunningSimulator) -> Iterator[Talk]:
    with RunningSidecar(tmp_path, claude, test_clock=True, prefix_repair="off", keep_bodies=5) as gateway:
        yield Talk(gateway, claude)


def begun(talk: Talk) -> Talk:
    assert talk.ask()["prompt_cache"] == "new"
    assert talk.ask()["prompt_cache"] == "hit"
    return talk


def test_a_cache_that_holds_has_no_cause(talk: Talk) -> None:
    begun(talk)
    row = talk.ask()
    assert (row["prompt_cache"], row["miss"]) == ("hit", None)


def the_rules(talk: Talk) -> None:
    talk.fields["system"] = RULES.replace("Rule 9:", "Today is Monday, rule 9:", 1)


def a_tool_more(talk: Talk) -> None:
    talk.fields["tools"] = [*TOOLS, {**TOOLS[0], "name": "browse"}]


def a_tool_less(talk: Talk) -> None:
    talk.fields["tools"] = TOOLS[:2]


def another_description(talk: Talk) -> None:
    talk.fields["tools"] = [{**TOOLS[0], "description": "Reads. " * 60}, *TOOLS[1:]]


def another_model(talk: Talk) -> None:
    talk.fields["model"] = "opus"


def an_older_message(talk: Talk) -> None:
    talk.messages[0] = {"role": "user", "content": "Find the error."}


def a_choice_of_tools(talk: Talk) -> None:
    talk.fields["tool_choice"] = {"type": "none"}


def a_pause(talk: Talk) -> None:
    talk.now += 7 * 60


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        (the_rules, "the system prompt changed at character 550: `Today is Monday, rule 9: read before you wri`"),
        (a_tool_more, "tool definitions were added: browse"),
        (a_tool_less, "tool definitions were removed: search"),
        (another_description, "tool definitions changed: read"),
        (another_model, "the model changed from claude-sonnet-5-5 to claude-opus-5-5"),
        (a_pause, "a pause of 7 minutes: it was cached for 5 minutes"),
    ],
)
def test_the_cause_is_told_with_its_tokens_and_its_price(talk: Talk, changed: Any, cause: str) -> None:
    begun(talk)
    changed(talk)
    row = talk.ask()
    assert row["prompt_cache"] in {"miss", "partly"}
    miss = row["miss"]
    assert miss["cause"] == cause
    assert not miss["ours"]
    assert miss["tokens"] > 1000
    assert 0 < miss["cost_picos"] < row["cost_picos"]
    assert talk.ask()["prompt_cache"] == "hit"


def test_an_older_message_and_a_choice_of_tools_break_what_comes_behind_them(talk: Talk) -> None:
    talk.messages = [{"role": "user", "content": "Find the bug. " + "Look everywhere. " * 900}]
    begun(talk)
    talk.messages[0] = {"role": "user", "content": "Find the error. " + "Look everywhere. " * 900}
    cause, _, quoted = talk.ask()["miss"]["cause"].partition(": ")
    assert cause == "a message from earlier (message 1) changed at character 10"
    assert quoted == "`Find the error. Look everywhere. Look everywhere. Loo`"
    a_choice_of_tools(talk)
    assert talk.ask()["miss"]["cause"] == '`tool_choice` changed from unset to {"type":"none"}'


def test_what_looks_like_a_secret_is_not_quoted(talk: Talk) -> None:
    begun(talk)
    talk.fields["system"] = RULES + "Token: 7f3a9c1e5b2d8f6a4c0e7f3a9c1e5b2d"
    talk.ask()
    talk.fields["system"] = RULES + "Token: 7f3a9c1e5b2d8f6a4c0e7f3a9c1e5b2e"
    cause = talk.ask()["miss"]["cause"]
    assert cause.endswith("`Token: ...`")


def test_another_conversation_with_the_same_rules_is_new_and_missed_nothing(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    with RunningSidecar(tmp_path, claude, test_clock=True) as gateway:
        begun(Talk(gateway, claude))
        other = Talk(gateway, claude, "Write the tests.")
        row = other.ask()
        assert row["miss"] is None
        assert row["prompt_cache"] == "hit"  # tools and system text were there
