"""Limits and budgets as clients meet them, over real sockets with the real SDKs."""

from __future__ import annotations

import re
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2
import openai
import orjson
import psycopg
import pytest

from sidecar.ledger.database import Database
from sidecar.projects.project import DEFAULT, Project
from sidecar.projects.store import ProjectStore
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.servers import RedisServer
from tests.support.sidecar import RunningSidecar
from tests.support.waiting import until

HELLO: Any = [{"role": "user", "content": "hello"}]
BODY = {"model": "sonnet", "max_tokens": 50, "messages": HELLO}
ROUTES = ("/v1/chat/completions", "/v1/messages")


def limited(home: Path, claude: RunningSimulator, rpm: int = 60, **options: Any) -> RunningSidecar:
    return RunningSidecar(home, claude, rate_limit_enabled=True, rate_limit_rpm=rpm, **options)


def ask(gateway: RunningSidecar, path: str = "/v1/messages", **more: Any) -> httpx2.Response:
    return httpx2.post(gateway.url + path, json=BODY | more, headers={"x-api-key": gateway.key}, timeout=60)


def count_tokens(gateway: RunningSidecar) -> httpx2.Response:
    body = {"model": "sonnet", "messages": HELLO}
    headers = {"x-api-key": gateway.key}
    return httpx2.post(f"{gateway.url}/v1/messages/count_tokens", json=body, headers=headers, timeout=60)


def remaining(answer: httpx2.Response) -> int:
    return int(answer.headers["x-ratelimit-remaining"])


def set_default(home: Path, **fields: Any) -> None:
    database = Database.open(None, home)
    ProjectStore(database).edit(DEFAULT, lambda _: Project(name=DEFAULT, **fields))
    database.close()


def test_a_burst_of_sixty_passes_at_once_and_the_sixty_first_is_told_when_to_come_back(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with limited(tmp_path, running_simulator) as gateway, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: ask(gateway, ROUTES[number % 2]), range(61)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert [answer.status_code for answer in refused] == [429]
    assert refused[0].json()["error"]["type"] == "rate_limit_error"
    assert 0 < int(refused[0].headers["retry-after"]) <= 61
    assert refused[0].headers["x-ratelimit-limit"] == "60"
    assert {remaining(answer) for answer in answers} == set(range(60))
    assert len(claude.ledger.wait(60)) == 60


def test_both_sdks_see_a_rate_limit_error(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with limited(tmp_path, running_simulator, rpm=1) as gateway:
        assert ask(gateway).status_code == 200
        with (
            openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as sdk,
            pytest.raises(openai.RateLimitError, match="1 requests a minute") as from_openai,
        ):
            sdk.chat.completions.create(model="sonnet", messages=HELLO, stream=True)
        assert from_openai.value.code == "rate_limit_exceeded"
        assert from_openai.value.type == "rate_limit_error"
        with (
            anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as native,
            pytest.raises(anthropic.RateLimitError, match="1 requests a minute"),
        ):
            native.messages.create(model="sonnet", max_tokens=50, messages=HELLO)
    assert len(claude.ledger.wait(1)) == 1


CACHE = """
class Cache:
    def request(self, exchange):
        if exchange.client_headers.get("x-kept") == "1":
            exchange.cache = "HIT"
            exchange.answer = {
                "id": "msg_1", "type": "message", "role": "assistant", "model": exchange.model, "stop_sequence": None,
                "content": [{"type": "text", "text": "kept"}], "stop_reason": "end_turn",
                "usage": {"input_tokens": 900, "output_tokens": 900},
            }
"""


def test_only_what_goes_to_claude_counts(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    addon = tmp_path / "cache.py"
    addon.write_text(CACHE)
    with limited(tmp_path, running_simulator, rpm=2, addon_files=(addon,)) as gateway:

        def free() -> list[httpx2.Response]:
            headers = {"x-api-key": gateway.key}
            return [
                httpx2.get(f"{gateway.url}/v1/models", headers=headers),
                httpx2.get(f"{gateway.url}/v1/models/sonnet", headers=headers),
                count_tokens(gateway),
                *(
                    httpx2.post(gateway.url + path, json=BODY, headers={**headers, "x-kept": "1"}, timeout=60)
                    for path in ROUTES
                ),
                ask(gateway, model="no-such-model"),
                httpx2.post(f"{gateway.url}/v1/messages", content=b"not json", headers=headers),
            ]

        for answers, left in ((free(), 2), ([ask(gateway)], 1), (free(), 1), ([ask(gateway)], 0), (free(), 0)):
            assert [remaining(answer) for answer in answers] == [left] * len(answers)
            assert [answer.status_code for answer in answers] in ([200] * 5 + [404, 400], [200])
            assert all(answer.headers["x-ratelimit-limit"] == "2" for answer in answers)
        assert ask(gateway).status_code == 429
    assert len([row for row in claude.ledger.wait(2) if row.path == "/v1/messages"]) == 2


def test_a_stream_tells_its_limits_in_the_head(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with limited(tmp_path, running_simulator, rpm=5) as gateway:
        for left, path in ((4, ROUTES[0]), (3, ROUTES[1])):
            assert remaining(ask(gateway, path, stream=True)) == left
    assert claude.ledger.wait(2)


def test_a_switched_off_limit_limits_nothing(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with RunningSidecar(tmp_path, running_simulator, rate_limit_enabled=False, rate_limit_rpm=1) as gateway:
        for _ in range(3):
            answer = ask(gateway)
            assert answer.status_code == 200
            assert "x-ratelimit-limit" not in answer.headers
    assert claude.ledger.wait(3)


def test_tokens_a_minute_refuse_once_they_are_used(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    set_default(tmp_path, tpm=20)
    claude.script(Answer("word " * 100))
    with limited(tmp_path, running_simulator) as gateway:
        first = ask(gateway, max_tokens=500)
        assert (first.status_code, first.headers["x-ratelimit-limit-tokens"]) == (200, "20")
        second = until_refused(gateway)
        assert "20 tokens a minute" in second.json()["error"]["message"]
        assert second.headers["x-ratelimit-remaining-tokens"] == "0"
        assert 0 < int(second.headers["retry-after"]) <= 61
    assert claude.ledger.messages


def until_refused(gateway: RunningSidecar) -> httpx2.Response:
    """An answer is charged when it is complete, a moment after its client has it."""
    for _ in range(200):
        if (answer := ask(gateway)).status_code != 200:
            return answer
        time.sleep(0.05)
    raise AssertionError("nothing was refused")


def test_a_budget_warns_then_refuses_and_survives_a_restart(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with RunningSidecar(tmp_path, running_simulator) as gateway:
        assert ask(gateway).status_code == 200
    [row] = claude.ledger.wait(1)
    set_default(tmp_path, daily_budget=int(row.cost) + 2, warn_percent=50)
    with RunningSidecar(tmp_path, running_simulator) as gateway:
        warned = ask(gateway)
        assert warned.status_code == 200
        assert "daily budget" in warned.headers["x-gateway-budget-warning"]
        refused = until_refused(gateway)
        assert refused.status_code == 429
        assert refused.headers["x-should-retry"] == "false"
        with (
            openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as sdk,
            pytest.raises(openai.RateLimitError, match="daily budget") as error,
        ):
            sdk.chat.completions.create(model="sonnet", messages=HELLO)
        assert error.value.code == "budget_exceeded"
        assert count_tokens(gateway).status_code == 200
    before = len(claude.ledger.messages)
    with RunningSidecar(tmp_path, running_simulator) as gateway:
        assert ask(gateway).status_code == 429
    assert len(claude.ledger.messages) == before


def test_a_budget_is_closed_for_the_request_that_came_with_the_one_that_used_it_up(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    """Accounts are made up behind an answer, and yet before anything else is read."""
    set_default(tmp_path, daily_budget=1)
    body = orjson.dumps(BODY)
    with RunningSidecar(tmp_path, running_simulator) as gateway:
        until(lambda: httpx2.get(f"{gateway.url}/health").json()["ledger"]["state"] == "ok", "the ledger")
        head = f"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: {gateway.key}\r\n".encode()
        asked = b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)
        closing = asked.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
        address = urlsplit(gateway.url)
        with socket.create_connection((address.hostname, address.port), timeout=60) as client:
            client.sendall(asked + closing)
            said = b"".join(iter(lambda: client.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"429"]
    assert len(claude.ledger.wait(1)) == 1


def test_a_teams_budget_is_shared_over_postgresql(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, postgres_url: str
) -> None:
    name = f"budget_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"{postgres_url.rpartition('/')[0]}/{name}"
    database = Database.open(url, tmp_path)
    ProjectStore(database).edit(DEFAULT, lambda _: Project(name=DEFAULT, monthly_budget=1))
    database.close()
    with RunningSidecar(tmp_path / "one", running_simulator, database_url=url) as one:
        assert ask(one).status_code == 200
        assert until_refused(one).status_code == 429
    with RunningSidecar(tmp_path / "two", running_simulator, database_url=url) as two:
        assert ask(two).json()["error"]["message"].startswith("Project `default` has spent")
    assert claude.ledger.messages


def test_a_teams_limit_is_shared_over_redis_and_its_loss_is_shown(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator, redis_url: str
) -> None:
    del redis_url  # skips where there is no Redis; this one is the test's own
    with RedisServer() as redis:
        first = limited(tmp_path / "one", running_simulator, rpm=4, redis_url=redis.url)
        second = limited(tmp_path / "two", running_simulator, rpm=4, redis_url=redis.url)
        with first as one, second as two:
            for gateway in (one, two):
                until_shared(gateway)
            statuses = [ask(gateway).status_code for gateway in (one, two) * 3]
            assert statuses == [200] * 4 + [429] * 2
            redis.stop()
            assert ask(two).status_code == 200
            [warning] = httpx2.get(f"{two.url}/health").json()["warnings"]
            assert "Redis" in warning
    assert claude.ledger.wait(5)


def until_shared(gateway: RunningSidecar) -> None:
    for _ in range(1200):
        told = httpx2.get(f"{gateway.url}/admin/health", headers={"x-api-key": gateway.key}).json()
        if told["redis"]["state"] == "ok":
            return
        time.sleep(0.05)
    raise AssertionError("Redis was never found")
