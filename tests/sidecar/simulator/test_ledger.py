"""The ledger keeps what came in and what it cost, within bounds."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.simulator.answers import Answer, Failure
from sidecar.simulator.ledger import Ledger
from sidecar.simulator.simulator import Simulator


async def test_a_row_holds_the_exact_bytes_and_headers(http: Any, simulator: Simulator) -> None:
    body = (
        b'{"messages" : [{"role":"user","content":"gr\xc3\xbc\xc3\x9fe"}],  "max_tokens":5,"model":"claude-opus-5-5"}\n'
    )
    await http("POST", "/v1/messages", body=body, headers={"X-Extra": "1", "anthropic-beta": "unknown-2030-01-01"})
    [row] = simulator.ledger.rows
    assert row.body == body
    assert row.headers["x-extra"] == "1"
    assert row.headers["anthropic-beta"] == "unknown-2030-01-01"
    assert (row.path, row.status, row.complete, row.cancelled) == ("/v1/messages", 200, True, None)


async def test_the_bill_is_the_counters_times_the_price(ask: Any, simulator: Simulator) -> None:
    simulator.script(Answer("x" * 270))
    usage = (await ask(model="claude-opus-5-5", messages="x" * 27)).usage
    [row] = simulator.ledger.messages
    assert (row.input_tokens, row.output_tokens) == (usage["input_tokens"], usage["output_tokens"]) == (14, 100)
    assert row.cost == Decimal(14 * 4 + 100 * 20)
    assert simulator.ledger.totals.cost == row.cost


@pytest.mark.parametrize("step", [Failure(529), Answer("hello", error_after=0)])
async def test_an_error_before_the_answer_begins_costs_nothing(ask: Any, simulator: Simulator, step: Any) -> None:
    simulator.script(step)
    await ask(stream=True)
    [row] = simulator.ledger.messages
    assert (row.cost, row.error, row.input_tokens) == (0, "overloaded_error", 0)


async def test_an_error_in_mid_stream_costs_the_input_and_the_output_so_far(ask: Any, simulator: Simulator) -> None:
    simulator.script(Answer("x" * 160, delta_chars=16, error_after=6))
    reply = await ask(stream=True)
    assert reply.events[-1]["error"] == {"type": "overloaded_error", "message": "Overloaded"}
    [row] = simulator.ledger.messages
    assert (row.status, row.error, row.events_sent, row.output_tokens) == (200, "overloaded_error", 6, 18)
    assert row.cost == row.input_tokens * 4 + 18 * 20


async def test_refused_requests_and_side_calls_cost_nothing(ask: Any, http: Any, simulator: Simulator) -> None:
    await ask(max_tokens=-1)
    await ask(path="/v1/messages/count_tokens", max_tokens=...)
    await http("GET", "/v1/models")
    assert [(row.path, row.status, row.cost) for row in simulator.ledger.rows] == [
        ("/v1/messages", 400, 0),
        ("/v1/messages/count_tokens", 200, 0),
        ("/v1/models", 200, 0),
    ]


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 5), st.integers(1, 100))
def test_the_ledger_stays_within_its_bounds_and_its_totals_forget_nothing(
    sizes: list[int], keep: int, keep_bytes: int
) -> None:
    ledger = Ledger(keep=keep, keep_bytes=keep_bytes)
    for size in sizes:
        row = ledger.open(time=0, path="/v1/messages", body=b"x" * size, headers={}, request_id="req")
        ledger.close(row, status=200, cost=Decimal(size))
    rows = ledger.rows
    assert len(rows) <= keep
    assert sum(len(row.body) for row in rows) <= keep_bytes or len(rows) == 1
    assert [row.number for row in rows] == list(range(len(sizes) - len(rows) + 1, len(sizes) + 1))
    assert ledger.totals.requests == len(sizes)
    assert ledger.totals.cost == sum(sizes)


def test_waiting_for_a_request_that_never_comes_says_so() -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests to /v1/messages ended"):
        Ledger().wait(1, timeout=0.01)


async def test_other_processes_read_and_clear_the_ledger(ask: Any, http: Any, simulator: Simulator) -> None:
    await ask(messages="hello")
    seen = (await http("GET", "/_simulator/ledger")).json
    assert json.loads(seen["rows"][0]["body"])["messages"][0]["content"] == "hello"
    assert seen["rows"][0]["cost_micro_usd"] == seen["totals"]["cost"] == str(simulator.ledger.totals.cost)
    assert (await http("DELETE", "/_simulator/ledger")).json["rows"] == []


async def test_other_processes_script_answers(ask: Any, http: Any) -> None:
    steps = [{"failure": {"status": 503, "kind": "api_error"}}, {"answer": {"content": "scripted"}}]
    assert (await http("POST", "/_simulator/script", body=json.dumps({"steps": steps}).encode())).json == {"waiting": 2}
    assert (await ask()).status == 503
    assert (await ask()).json["content"][0]["text"] == "scripted"
    rule = {"steps": [{"answer": {"content": "a title"}}], "when": "title"}
    await http("POST", "/_simulator/script", body=json.dumps(rule).encode())
    assert (await ask(messages="title?")).json["content"][0]["text"] == "a title"
    await http("DELETE", "/_simulator/script")
    assert (await ask(messages="title?")).json["content"][0]["text"] != "a title"
    assert (await http("POST", "/_simulator/script", body=b'{"steps": [{}]}')).status == 400


async def test_other_processes_set_the_clock(http: Any, simulator: Simulator) -> None:
    assert (await http("POST", "/_simulator/clock", body=b'{"set": 1000}')).json == {"now": 1000}
    assert (await http("POST", "/_simulator/clock", body=b'{"advance": 301.5}')).json == {"now": 1301.5}
    assert simulator.clock.now() == 1301.5
    assert (await http("POST", "/_simulator/clock", body=b'{"run": true}')).json["now"] >= 1301.5


async def test_other_processes_empty_the_cache(ask: Any, http: Any) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "x" * 27_000, **mark}]}]
    await ask(messages=messages)
    await http("DELETE", "/_simulator/cache")
    assert (await ask(messages=messages)).usage["cache_read_input_tokens"] == 0


async def test_models_are_listed_and_found(http: Any) -> None:
    page = (await http("GET", "/v1/models?limit=2")).json
    assert [row["id"] for row in page["data"]] == ["claude-fable-5-2", "claude-mythos-5-2"]
    assert page["has_more"]
    assert (await http("GET", "/v1/models/claude-opus-4-5")).json["id"] == "claude-opus-4-5-20251101"
    assert (await http("GET", "/v1/models/claude-sonnet-4-0")).json["lifecycle"] == "retired"
    assert (await http("GET", "/v1/models/gpt-4o")).status == 404
    assert (await http("GET", "/v1/models?limit=0")).status == 400
    assert (await http("GET", "/v1/models?after_id=nobody")).status == 400


async def test_an_unknown_route_is_not_found_in_anthropics_shape(http: Any) -> None:
    reply = await http("GET", "/v1/nothing")
    assert reply.status == 404
    assert reply.json["error"]["type"] == "not_found_error"
