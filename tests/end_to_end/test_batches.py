"""Anthropic's message batches by its SDK: passed through, and in the ledger at half the price."""

import json
import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import pytest

from sidecar.ledger.database import FILE_NAME
from sidecar.simulator.answers import Answer
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

HELLO: Any = [{"role": "user", "content": "hello"}]
ASKED: Any = [
    {"custom_id": "one", "params": {"model": "claude-sonnet-5-5", "max_tokens": 99, "messages": HELLO}},
    {"custom_id": "two", "params": {"model": "claude-haiku-5-5", "max_tokens": 99, "messages": HELLO}},
    {"custom_id": "bad", "params": {"model": "claude-haiku-5-5", "max_tokens": -1, "messages": HELLO}},
]


@pytest.fixture(scope="module")
def sdk(gateway: RunningSidecar) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        yield client


def test_a_batch_from_its_making_to_its_end(
    gateway: RunningSidecar, sdk: anthropic.Anthropic, claude: Simulator
) -> None:
    claude.script(Answer("Hello there."), Answer("Hello again."))
    made = sdk.messages.batches.create(requests=ASKED)
    assert (made.processing_status, made.results_url) == ("in_progress", None)
    assert made.id in [batch.id for batch in sdk.messages.batches.list(limit=1)]
    [created] = [row for row in claude.ledger.rows if row.path == "/v1/messages/batches" and row.body]
    assert json.loads(created.body) == {"requests": ASKED}
    ended = sdk.messages.batches.retrieve(made.id)
    assert ended.results_url == f"{gateway.url}/v1/messages/batches/{made.id}/results"
    cost = claude.batch_cost
    for _ in range(2):
        results = {one.custom_id: one.result for one in sdk.messages.batches.results(made.id)}
        assert [results[name].type for name in ("one", "two", "bad")] == ["succeeded", "succeeded", "errored"]
    said: Any = results["one"]
    assert said.message.content[0].text == "Hello there."
    rows = rows_of(gateway, made.id)
    assert {row["model"] for row in rows} == {"claude-sonnet-5-5", "claude-haiku-5-5"}
    assert sum(Decimal(row["cost_picos"]) for row in rows) / 10**6 == cost
    assert sdk.messages.batches.delete(made.id).id == made.id
    with pytest.raises(anthropic.NotFoundError):
        sdk.messages.batches.retrieve(made.id)


def test_a_batch_is_cancelled_and_has_no_results_yet(sdk: anthropic.Anthropic, claude: Simulator) -> None:
    made = sdk.messages.batches.create(requests=ASKED[:1])
    with pytest.raises(anthropic.BadRequestError, match="cancel it first"):
        sdk.messages.batches.delete(made.id)
    assert sdk.messages.batches.cancel(made.id).processing_status == "canceling"


@pytest.mark.parametrize(
    ("body", "said"),
    [({}, "at least one request"), ({"requests": [{"custom_id": "a"}]}, "requests.0.params.model")],
)
def test_what_is_no_batch_is_refused(gateway: RunningSidecar, body: Any, said: str) -> None:
    answer = httpx2.post(f"{gateway.url}/v1/messages/batches", json=body, headers={"x-api-key": gateway.key})
    assert (answer.status_code, answer.json()["type"]) == (400, "error")
    assert said in answer.json()["error"]["message"]


def test_a_stranger_gets_nothing(gateway: RunningSidecar) -> None:
    for method, path in (("POST", ""), ("GET", ""), ("GET", "/b"), ("DELETE", "/b"), ("POST", "/b/cancel"),
                         ("GET", "/b/results")):  # fmt: skip
        answer = httpx2.request(method, f"{gateway.url}/v1/messages/batches{path}", headers={"x-api-key": "wrong"})
        assert answer.status_code == 401


def rows_of(gateway: RunningSidecar, batch_id: str) -> list[dict[str, Any]]:
    """The ledger is written beside the requests."""
    query = "SELECT model, cost_picos FROM ledger_requests WHERE id LIKE ?"
    for _ in range(100):
        with sqlite3.connect(gateway.home.path / FILE_NAME) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute(query, (f"{batch_id}-%",))]
        if len(rows) >= 2:
            return rows
        time.sleep(0.05)
    raise AssertionError("the batch is not in the ledger")
