"""The ledger against the bill of the simulated Claude, which has a price table and arithmetic of its own: to the
pico-dollar wherever usage was reported, marked as estimated where it was not."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy import select

from sidecar.ledger.columns import ExportRange
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT, savings_by_layer, usage
from sidecar.ledger.schema import requests
from sidecar.simulator.answers import Answer, Failure, Text, Thinking, ToolCall
from sidecar.simulator.ledger import Row
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

SONNET, OPUS, HAIKU = "claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5"
CHAT, NATIVE = "/v1/chat/completions", "/v1/messages"
RULES = "Keep the rules of this house in mind. " * 80
"""About 1,100 tokens: enough to be cached."""
TOOLS = [{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}]
NO_LAYERS = {"enable_anthropic_cache_control": False}
"""For clients whose marks are all there is; what layers save is in `test_savings`."""
COUNTERS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "thinking_tokens",
)


class Client:
    """Speaks both dialects to one gateway; every answer is read to its end, unless it is left."""

    def __init__(self, gateway: RunningSidecar) -> None:
        headers = {"x-api-key": gateway.key, "anthropic-version": "2026-10-21"}
        self._http = httpx2.Client(base_url=gateway.url, headers=headers, timeout=60)

    def post(self, path: str, **body: Any) -> httpx2.Response:
        return self._http.post(path, json=self._completed(path, body))

    def leave(self, path: str, *, after: bytes = b"", once: Callable[[], object] = lambda: True, **body: Any) -> None:
        """Goes away as soon as `after` has arrived and `once` is true."""
        with self._http.stream("POST", path, json=self._completed(path, {"stream": True, **body})) as answer:
            received = b""
            for chunk in answer.iter_raw():
                received += chunk
                if after in received and once():
                    return

    def close(self) -> None:
        self._http.close()

    @staticmethod
    def _completed(path: str, body: dict[str, Any]) -> dict[str, Any]:
        plain: dict[str, Any] = {"model": SONNET, "messages": [{"role": "user", "content": "hello"}]}
        return plain | ({"max_tokens": 4000} if path.startswith(NATIVE) else {}) | body


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    server: str = request.getfixturevalue("postgres_url")
    schema = f"accounts_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{server}?options=-csearch_path%3D{schema}"


@contextmanager
def gateway_and_client(home: Path, simulator: RunningSimulator, **settings: Any) -> Iterator[Client]:
    """Everything is in the ledger when the block has ended."""
    with RunningSidecar(home, simulator, rate_limit_enabled=False, **settings) as gateway:
        client = Client(gateway)
        try:
            yield client
        finally:
            client.close()


def records(home: Path, database_url: str | None) -> list[dict[str, Any]]:
    """The ledger, oldest first, as an export has it; money in pico-dollars."""
    database = Database.open(database_url, home)
    try:
        chosen = ExportRange(database, project=EVERY_PROJECT)
        names = [column.name for column in chosen.columns]
        return [dict(zip(names, record, strict=True)) for page in chosen.pages() for record in zip(*page, strict=True)]
    finally:
        database.close()


def total_cost(billed: Iterable[Row]) -> Decimal:
    """Micro-dollars, by the simulator's own arithmetic."""
    return sum((row.cost for row in billed), Decimal(0))


def marked(text: str, ttl: str | None = None) -> dict[str, Any]:
    mark = {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}
    return {"type": "text", "text": text, "cache_control": mark}


def mixed_traffic(client: Client, claude: Simulator) -> None:
    """Requests of every kind whose usage is reported, with Claude's prompt cache empty at first."""
    claude.clock.advance(2 * 3600)
    for model in (SONNET, "haiku", OPUS, "gpt-4o"):
        client.post(CHAT, model=model)
        client.post(CHAT, model=model, stream=True, stream_options={"include_usage": True})
    client.post(CHAT, n=2)
    client.post(CHAT, n=3, stream=True)
    claude.script(Answer((Text("I look."), ToolCall("read_file", {"path": "a.py"}))))
    client.post(CHAT, tools=TOOLS, stream=True)
    claude.script(Answer((Thinking("Let me see.", tokens=321), Text("Done."))))
    client.post(NATIVE, model=OPUS)
    for ttl in ("5m", "1h"):
        for turn in ("one", "two", "three"):
            client.post(NATIVE, system=[marked(f"{ttl} {RULES}", ttl)], messages=[{"role": "user", "content": turn}])
    both = [{"role": "user", "content": [marked(RULES), {"type": "text", "text": "and?"}]}]
    client.post(NATIVE, stream=True, system=[marked("both " + RULES, "1h")], messages=both)
    client.post(CHAT, messages=[{"role": "system", "content": [marked("chat " + RULES)]}, *both])
    client.post(CHAT, messages=[{"role": "system", "content": [marked("chat " + RULES)]}, *both], stream=True)
    client.post(NATIVE, model=OPUS, speed="fast")
    client.post(NATIVE, inference_geo="us", stream=True)
    client.post(NATIVE, model=HAIKU, messages=[{"role": "user", "content": "long " * 60_000}])
    claude.script(Failure(529), Failure(429, retry_after=2), Failure(400), Answer("x", error_after=0))
    for path in (CHAT, NATIVE):
        client.post(path)
        client.post(path, stream=True)
    client.post(NATIVE, messages=[])
    client.post(NATIVE + "/count_tokens")


def test_the_ledger_is_the_bill_to_the_picodollar(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, database_url: str | None
) -> None:
    settings = {"database_url": database_url} if database_url else {}
    with gateway_and_client(tmp_path, running_simulator, **settings, **NO_LAYERS) as client:
        mixed_traffic(client, claude)
    rows, billed = records(tmp_path, database_url), claude.ledger.messages
    assert len(rows) == len(billed)
    assert not any(row["estimated"] for row in rows)
    assert sum(row["cost_usd"] for row in rows) == total_cost(billed) * 10**6
    for counter in COUNTERS:
        assert sum(row[counter] for row in rows) == sum(getattr(row, counter) for row in billed) > 0, counter
    assert Counter((row["model"], row["cost_usd"]) for row in rows if row["cost_usd"]) == Counter(
        (row.model, row.cost * 10**6) for row in billed if row.cost
    )
    # The clients' own marks cached as well as they could: without layers nothing is saved, and nothing is lost.
    assert all(row["baseline_usd"] == row["cost_usd"] and row["saved_usd"] == 0 for row in rows)
    assert len({row["request_id"] for row in rows}) == len(rows)


def test_sums_by_any_grouping_are_the_bill(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with gateway_and_client(tmp_path, running_simulator, **NO_LAYERS) as client:
        mixed_traffic(client, claude)
    database = Database.open(None, tmp_path)
    billed = total_cost(claude.ledger.messages)
    for by in ("day", "model", "project", "client"):
        assert usage(database, project=EVERY_PROJECT, by=by).total.cost_micros == billed
    by_model = {line.key: line.cost_micros for line in usage(database, project=EVERY_PROJECT, by="model").lines}
    for model in (SONNET, OPUS, HAIKU):
        assert by_model[model] == total_cost(row for row in claude.ledger.messages if row.model == model)
    assert savings_by_layer(database, project=EVERY_PROJECT) == ()
    database.close()


def cut_short(client: Client, claude: Simulator) -> None:
    """Answers whose last counters never arrive."""
    said = "all the words of a long answer " * 40
    delta, last = 16, "it falls silent "  # one whole delta, shortly before the 60th event
    words = said[: 54 * delta] + last + said
    for path in (CHAT, NATIVE):
        claude.script(Answer(words, cut_after=60))
        client.post(path, stream=True)
        claude.script(Answer(words, error_after=60))
        client.post(path, stream=True)
        claude.script(Answer(words, silent_after=60))
        client.leave(path, after=last.encode())
    claude.script(Answer(words, cut_after=60))
    client.post(CHAT)


def test_answers_cut_short_cost_their_prompt_exactly_and_are_marked_estimated(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with gateway_and_client(tmp_path, running_simulator) as client:
        cut_short(client, claude)
        billed = claude.ledger.wait(7, timeout=60)
    rows = records(tmp_path, None)
    assert len(rows) == len(billed) == 7
    assert all(row["estimated"] for row in rows)
    for row, bill in zip(rows, billed, strict=True):
        assert row["input_tokens"] == bill.input_tokens
        assert 0.5 < row["output_tokens"] / bill.output_tokens < 2
        assert row["cost_usd"] == (row["input_tokens"] * 2 + row["output_tokens"] * 10) * 10**6
    assert [row["cancelled"] for row in rows] == [bill.cancelled is not None for bill in billed]


def test_a_plain_answer_that_breaks_is_charged_for_an_estimated_prompt(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    claude.script(Answer("never seen", cut_after=20))
    with gateway_and_client(tmp_path, running_simulator) as client:
        assert client.post(NATIVE, messages=[{"role": "user", "content": RULES}]).status_code == 502
    [row], [billed] = records(tmp_path, None), claude.ledger.messages
    assert row["estimated"]
    assert 0.5 < row["input_tokens"] / billed.prompt_tokens < 2


def test_the_beginning_of_an_answer_that_nobody_got_is_on_the_account_of_the_retries(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    claude.script(Answer("lost", error_after=1), "at last")
    with gateway_and_client(tmp_path, running_simulator, retry_enabled=True) as client:
        client.post(CHAT, stream=True)
    [row] = records(tmp_path, None)
    assert row["retries"] == 1
    assert row["cost_usd"] == total_cost(claude.ledger.messages) * 10**6


def test_a_request_left_before_its_answer_began_is_in_the_ledger_and_cost_nothing(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    claude.script(Answer("late", first_byte_after=3600))
    with gateway_and_client(tmp_path, running_simulator, ping_seconds=0.05) as client:
        client.leave(CHAT, after=b": ping", once=lambda: claude.ledger.messages)
        [billed] = claude.ledger.wait(1, timeout=60)
    [row] = records(tmp_path, None)
    assert row["cost_usd"] == billed.cost == 0
    assert (row["cancelled"], row["estimated"], row["status"]) == (True, True, 499)


def test_rows_say_who_asked_for_what_and_what_came_of_it(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    claude.script("fine", Failure(529))
    with gateway_and_client(tmp_path, running_simulator) as client:
        first = client.post(CHAT, model="sonnet", stream=True)
        client.post(NATIVE, model=OPUS)
        both = client.post(CHAT, n=2)
    rows = {row["request_id"]: row for row in records(tmp_path, None)}
    row = rows.pop(first.headers["x-request-id"])
    assert (row["model_requested"], row["model"], row["route_reason"]) == ("sonnet", SONNET, "alias")
    assert (row["status"], row["stop_reason"], row["cache"], row["project"]) == (200, "end_turn", "MISS", "default")
    assert 0 < row["overhead_ms"] < row["duration_ms"]
    assert 0 < row["ttft_ms"] <= row["duration_ms"]
    twins = [rows.pop(f"{both.headers['x-request-id']}{suffix}") for suffix in ("", "-1")]
    assert twins[0]["conversation"] == twins[1]["conversation"] == row["conversation"]
    [failed] = rows.values()
    assert (failed["status"], failed["cost_usd"], failed["estimated"]) == (529, 0, False)
    database = Database.open(None, tmp_path)
    with database.read() as connection:
        classes = connection.execute(select(requests.c.error_class).where(requests.c.status == 529)).scalars().all()
    database.close()
    assert classes == ["overloaded_error"]
