"""The conversation memory behind a real socket: restarts, diagnosis, and thinking that no longer fits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from redis import Redis

from sidecar.simulator.answers import Answer, Failure, Text, Thinking
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


def ask(gateway: RunningSidecar, messages: list[Any], **headers: str) -> dict[str, Any]:
    answer = httpx2.post(
        f"{gateway.url}/v1/messages",
        json={"model": "sonnet", "max_tokens": 2000, "messages": messages},
        headers={"x-api-key": gateway.key, **headers},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    wire: dict[str, Any] = answer.json()
    return wire


def test_the_previous_answer_is_named_so_that_anthropic_can_say_why_a_cache_did_not_hold(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    history: list[Any] = [{"role": "user", "content": "one"}]
    with RunningSidecar(tmp_path, claude) as gateway:
        first = ask(gateway, history)
    history += [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": "two"}]
    with RunningSidecar(tmp_path, claude) as gateway:
        ask(gateway, history)
    bodies = [orjson.loads(row.body) for row in claude.simulator.ledger.wait(2)]
    assert ["diagnostics" in body for body in bodies] == [False, True]
    assert bodies[1]["diagnostics"] == {"previous_message_id": first["id"]}


def test_conversations_in_redis_go_on_at_another_laptop_and_only_there(
    tmp_path: Path, claude: RunningSimulator, redis_url: str
) -> None:
    history: list[Any] = [{"role": "user", "content": "begun at one desk " * 500}]
    with RunningSidecar(tmp_path / "one", claude, redis_url=redis_url) as one:
        first = ask(one, history)
    with Redis.from_url(redis_url) as redis:
        kept = [*redis.scan_iter("cgw:conversations:*")]
        assert {key.split(b":")[2].split(b"/")[0] for key in kept} == {b"line", b"segment", b"group"}
        assert all(redis.pttl(key) > 0 for key in kept)
    assert not (tmp_path / "one" / "cache" / "conversations").exists()
    history += [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": "and now?"}]
    with RunningSidecar(tmp_path / "two", claude, redis_url=redis_url) as two:
        ask(two, history)
    with RunningSidecar(tmp_path / "three", claude) as three:
        ask(three, history)
    bodies = [orjson.loads(row.body) for row in claude.simulator.ledger.wait(3)]
    assert [body.get("diagnostics") for body in bodies] == [None, {"previous_message_id": first["id"]}, None]


def test_an_upstream_that_knows_no_diagnostics_is_asked_without(tmp_path: Path, claude: RunningSimulator) -> None:
    refusal = Failure(400, message="diagnostics: Extra inputs are not permitted")
    claude.simulator.when(lambda request: "diagnostics" in request, refusal)
    history: list[Any] = [{"role": "user", "content": "one"}]
    with RunningSidecar(tmp_path, claude) as gateway:
        history += [
            {"role": "assistant", "content": ask(gateway, history)["content"]},
            {"role": "user", "content": "2"},
        ]
        ask(gateway, history)
    assert len(claude.simulator.ledger.wait(3)) == 3


def test_thinking_that_is_bound_to_another_conversation_is_left_out_and_stays_out(
    tmp_path: Path, claude: RunningSimulator
) -> None:
    claude.simulator.script(
        Answer([Thinking("hm"), Text("first")]), Answer([Thinking("so"), Text("second")]), Answer("third")
    )
    history: list[Any] = [{"role": "user", "content": "one"}]
    with RunningSidecar(tmp_path, claude) as gateway:
        first = ask(gateway, history)
        assert first["content"][0]["type"] == "thinking"
        changed = [{"role": "user", "content": "another one"}, {"role": "assistant", "content": first["content"]}]
        second = ask(gateway, [*changed, {"role": "user", "content": "two"}])
        assert second["content"][-1]["text"] == "second"
        history = [*changed, {"role": "user", "content": "two"}, {"role": "assistant", "content": second["content"]}]
        ask(gateway, [*history, {"role": "user", "content": "three"}])
    *_, last = claude.simulator.ledger.wait(4)
    kinds = [
        block["type"]
        for message in orjson.loads(last.body)["messages"]
        if message["role"] == "assistant"
        for block in message["content"]
    ]
    assert kinds[0] == "text"
