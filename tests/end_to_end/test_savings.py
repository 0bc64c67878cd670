"""What the accounts say was saved, against what the same session really costs without the gateway, and the hold-out."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sidecar.ledger.arms import arms
from sidecar.ledger.columns import ExportRange
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT
from sidecar.simulator.answers import Answer, Text, ToolCall
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

SONNET = "claude-sonnet-5-5"
RULES = "Keep the rules of this house in mind. " * 120
TOOLS = [{"name": "read_file", "description": "Reads a file.", "input_schema": {"type": "object"}}]
TURNS = 6
MILLION = 10**6

WORDS = (
    "request",
    "answer",
    "ledger",
    "return",
    "if",
    "else",
    "prefix",
    "client",
    "token",
    "=",
    "(self)",
    "+ 1",
    "None",
)


def source(seed: int, lines: int) -> str:
    """Code, more or less; other code for another seed."""
    drawn = random.Random(seed)
    return "\n".join(" ".join(drawn.choices(WORDS, k=8)) + f"  # {number}" for number in range(lines))


def session(url: str, key: str, claude: Simulator, *, lines: int, **headers: str) -> None:
    """An agent that reads a file every turn; the client marks nothing for caching."""
    history: list[dict[str, Any]] = [{"role": "user", "content": "Look at all files."}]
    shown = {"x-api-key": key, "anthropic-version": "2026-10-21", **headers}
    with httpx2.Client(base_url=url, headers=shown, timeout=60) as client:
        for turn in range(TURNS):
            claude.script(Answer((Text(f"Now file {turn}."), ToolCall("read_file", {"path": f"{turn}.py"}))))
            body = {"model": SONNET, "max_tokens": 1000, "system": RULES, "tools": TOOLS, "messages": history}
            answer = client.post("/v1/messages", json=body)
            assert answer.status_code == 200, answer.text
            content = answer.json()["content"]
            call = next(block for block in content if block["type"] == "tool_use")
            result = {"type": "tool_result", "tool_use_id": call["id"], "content": source(turn, lines)}
            history += [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]


def rows(home: Path) -> list[dict[str, Any]]:
    database = Database.open(None, home)
    try:
        chosen = ExportRange(database, project=EVERY_PROJECT)
        names = [column.name for column in chosen.columns]
        return [dict(zip(names, record, strict=True)) for page in chosen.pages() for record in zip(*page, strict=True)]
    finally:
        database.close()


@pytest.mark.parametrize("lines", [40, 800], ids=["nothing is cut", "every result is cut"])
def test_the_baseline_is_what_the_session_costs_without_the_gateway(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, lines: int
) -> None:
    with RunningSidecar(tmp_path, running_simulator) as gateway:
        session(gateway.url, gateway.key, claude, lines=lines)
    billed = sum((row.cost for row in claude.ledger.messages), Decimal(0))
    with RunningSimulator() as alone:
        session(alone.url, alone.api_key, alone.simulator, lines=lines)
    plain = sum((row.cost for row in alone.simulator.ledger.messages), Decimal(0))
    kept = rows(tmp_path)
    layers = {name for name in kept[0] if name.startswith("saved_") and name != "saved_usd"}
    assert sum(row["cost_usd"] for row in kept) == billed * MILLION
    for row in kept:
        assert sum(row[layer] for layer in layers) == row["saved_usd"] == row["baseline_usd"] - row["cost_usd"]
    assert sum(row["baseline_usd"] for row in kept) == pytest.approx(float(plain * MILLION), rel=0.05)
    saving = {layer for layer in layers if sum(row[layer] for row in kept) > 0}
    assert saving == {"saved_prompt_cache_usd"} | ({"saved_size_limits_usd"} if lines > 400 else set())


def test_a_conversation_that_is_held_out_goes_as_it_came(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with RunningSidecar(tmp_path, running_simulator, holdout_percent=100) as gateway:
        session(gateway.url, gateway.key, claude, lines=800)
    kept = rows(tmp_path)
    assert all(row["holdout"] for row in kept)
    assert all(row["baseline_usd"] == row["cost_usd"] > 0 for row in kept)
    database = Database.open(None, tmp_path)
    [conversation] = arms(database, project=EVERY_PROJECT).holdout
    database.close()
    assert conversation.requests == TURNS
