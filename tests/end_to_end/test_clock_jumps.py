"""A clock that is set back or forward, by an hour or by a year, while a conversation goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from sidecar import exchange
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar

DAY = 86_400.0
JUMPS = (0.0, -DAY, 400 * DAY, -400 * DAY, 3_600.0)
"""Seconds that the clock is ahead of the true time."""


class Clock:
    ahead = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """This process' wall clock; the monotonic one goes on as it does."""
    clock, true_time = Clock(), time.time

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.fromtimestamp(true_time(), tz) + timedelta(seconds=clock.ahead)

    monkeypatch.setattr(time, "time", lambda: true_time() + clock.ahead)
    monkeypatch.setattr(exchange, "datetime", Jumping)
    yield clock
    monkeypatch.undo()


def unmarked(message: Any) -> str:
    return (
        orjson.dumps(message)
        .decode()
        .replace(',"cache_control":{"type":"ephemeral"}', "")
        .replace(',"cache_control":{"type":"ephemeral","ttl":"1h"}', "")
    )


def test_a_jump_breaks_no_answer_no_prefix_and_no_account(tmp_path: Path, clock: Clock) -> None:
    with RunningSimulator() as claude:
        claude.simulator.when(lambda _: True, Answer("Noted."))
        given: dict[str, Any] = {"enable_response_cache": True, "rate_limit_enabled": True}
        with (
            RunningSidecar(tmp_path, claude, **given) as gateway,
            httpx2.Client(base_url=gateway.url, headers={"x-api-key": gateway.key}, timeout=30) as client,
        ):
            history: list[dict[str, Any]] = []
            for number, clock.ahead in enumerate(JUMPS):
                history.append({"role": "user", "content": [{"type": "text", "text": f"{number} " + "lines\n" * 400}]})
                body = {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": history}
                answers = [client.post("/v1/messages", json=body) for _ in range(2)]
                assert [answer.status_code for answer in answers] == [200, 200]
                assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "HIT"]
                assert 0 <= int(answers[1].headers["age"]) < 60
                history.append({"role": "assistant", "content": answers[0].json()["content"]})
            sent = [orjson.loads(row.body)["messages"] for row in claude.simulator.ledger.wait(len(JUMPS))]
        for earlier, later in pairwise(sent):
            assert [*map(unmarked, later[: len(earlier)])] == [*map(unmarked, earlier)], "what was sent stays sent"
    with RunningSidecar(tmp_path, "http://127.0.0.1:9") as again:
        found = httpx2.get(f"{again.url}/admin/usage?by=project&since=2000-01-01", headers={"x-api-key": again.key})
    assert found.json()["total"]["requests"] == 2 * len(JUMPS), "every request has its row"
