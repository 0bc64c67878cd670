"""A client whose prompt never stands still, behind a real socket: what Claude bills for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sidecar.exchange import Json
from sidecar.simulator.ledger import Row
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar

RULES = "".join(f"Rule {number}: read before you write, and write what you have read.\n" for number in range(150))
TOOLS = [
    {"name": name, "description": "Does what it says. " * 20, "input_schema": {"type": "object"}}
    for name in ("read", "write", "search")
]
MARK = {"type": "ephemeral"}
TURNS = 15

System = Callable[[int], str]


def standing(turn: int) -> str:
    return f"{RULES}Current time: 10:00\n"


def ticking(turn: int) -> str:
    return f"{RULES}Current time: 10:{turn:02}\n"


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        running.simulator.when(lambda request: "Write the tests" in str(request), "Here are the tests. " * 12)
        running.simulator.when(lambda request: True, "I have read it and I will say what I found. " * 12)
        yield running


@dataclass
class Client:
    """Sends its whole history with every turn, marks its newest end for the cache, and says `system` of each turn."""

    system: System = ticking
    model: str = "sonnet"
    task: str = "Find the bug in the parser."
    tools: list[Json] = field(default_factory=lambda: list(TOOLS))
    messages: list[Json] = field(default_factory=list)
    turn: int = 0

    def ask(self, gateway: RunningSidecar) -> None:
        words = f"{self.task} Step {self.turn}: " + f"line {self.turn} of the output; " * 120
        self.messages.append({"role": "user", "content": words})
        *before, newest = self.messages
        content = newest["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        marked = {"role": "user", "content": [*blocks[:-1], {**blocks[-1], "cache_control": MARK}]}
        answer = httpx2.post(
            f"{gateway.url}/v1/messages",
            json={
                "model": self.model,
                "max_tokens": 500,
                "tools": self.tools,
                "system": self.system(self.turn),
                "messages": [*before, marked],
            },
            headers={"x-api-key": gateway.key},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        self.messages.append({"role": "assistant", "content": answer.json()["content"]})
        self.turn += 1


def reads_all_that_was_there(rows: list[Row]) -> bool:
    """Whether every request read what the ones before it had written, and wrote only what was new."""
    pairs = pairwise(rows)
    return all(
        row.cache_read_tokens >= before.cache_read_tokens + before.cache_write_5m_tokens for before, row in pairs
    )


def cost_of(home: Path, client: Client, **settings: Any) -> Decimal:
    with RunningSimulator() as claude, RunningSidecar(home, claude, **settings) as gateway:
        claude.simulator.when(lambda request: True, "I have read it and I will say what I found. " * 12)
        for _ in range(TURNS):
            client.ask(gateway)
        return sum((row.cost for row in claude.simulator.ledger.wait(TURNS)), Decimal(0))


@pytest.mark.parametrize("model", ["sonnet", "opus"])
def test_a_minute_clock_costs_within_two_percent_of_one_that_stands_still(tmp_path: Path, model: str) -> None:
    # A minute passes with every fourth request: agents are faster than clocks.
    clock = cost_of(tmp_path / "a", Client(lambda turn: ticking(turn // 4), model))
    still = cost_of(tmp_path / "b", Client(standing, model))
    without = cost_of(tmp_path / "c", Client(lambda turn: ticking(turn // 4), model), prefix_repair="off")
    assert still < clock <= still * Decimal("1.02")
    assert without > still * Decimal("1.2")


def test_a_clock_that_ticks_with_every_request_never_breaks_the_prefix(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    client = Client()
    with RunningSidecar(tmp_path, claude) as gateway:
        for _ in range(5):
            client.ask(gateway)
    assert reads_all_that_was_there(claude.simulator.ledger.wait(5))


def test_the_prefix_holds_over_a_restart(tmp_path: Path, claude: RunningSimulator) -> None:
    client = Client()
    for _ in range(4):
        with RunningSidecar(tmp_path, claude) as gateway:
            client.ask(gateway)
    assert reads_all_that_was_there(claude.simulator.ledger.wait(4))


def test_the_editors_state_in_an_early_message_may_change(tmp_path: Path, claude: RunningSimulator) -> None:
    def task(tabs: str, clock: str) -> Json:
        details = f"# VSCode Open Tabs\n{tabs}\n\n# Current Time\n{clock}\n\n# Current Mode\nACT MODE"
        environment = f"<environment_details>\n{details}\n</environment_details>"
        texts = ("fix the parser", environment)
        return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}

    client = Client(standing, messages=[task("a.py", "5/2/2025, 4:42:28 PM"), {"role": "assistant", "content": "yes"}])
    with RunningSidecar(tmp_path, claude) as gateway:
        for tabs, clock in (("a.py", "4:42:28 PM"), ("a.py\nb.py", "4:43:30 PM"), ("b.py", "4:50:00 PM")):
            client.messages[0] = task(tabs, f"5/2/2025, {clock}")
            client.ask(gateway)
    assert reads_all_that_was_there(claude.simulator.ledger.wait(3))


def test_an_older_read_that_became_a_note_is_kept_where_the_user_chose_so(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    def read(content: str) -> Json:
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": content}]}

    client = Client(standing)
    call = {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a.py"}}
    client.messages = [
        {"role": "user", "content": "read a.py"},
        {"role": "assistant", "content": [call]},
        read("x = 1\n" * 100),
        {"role": "assistant", "content": "I see."},
    ]
    with RunningSidecar(tmp_path, claude, prefix_repair="all") as gateway:
        client.ask(gateway)
        client.ask(gateway)
        client.messages[2] = read("[This read was removed. The newest one stands below.]")
        client.ask(gateway)
    assert reads_all_that_was_there(claude.simulator.ledger.wait(3))


def test_tools_in_another_order_are_the_same_tools(tmp_path: Path, claude: RunningSimulator) -> None:
    client = Client(standing)
    with RunningSidecar(tmp_path, claude) as gateway:
        for _ in range(3):
            client.ask(gateway)
            client.tools.append(client.tools.pop(0))
    assert reads_all_that_was_there(claude.simulator.ledger.wait(3))


def test_two_conversations_never_repair_each_other(tmp_path: Path, claude: RunningSimulator) -> None:
    clients = [Client(ticking, task="Find the bug."), Client(lambda turn: ticking(turn + 30), task="Write the tests.")]
    with RunningSidecar(tmp_path, claude) as gateway:
        for _ in range(3):
            for client in clients:
                client.ask(gateway)
    rows = claude.simulator.ledger.wait(6)
    assert reads_all_that_was_there(rows[0::2])
    assert reads_all_that_was_there(rows[1::2])
    assert all(b"Current time: 10:00" in row.body for row in rows[0::2])
    assert not any(b"Current time: 10:00" in row.body for row in rows[1::2])
