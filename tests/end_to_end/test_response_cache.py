"""A repeat is answered from the cache: in either dialect, streamed or not, whichever way the answer was kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from sqlite3 import connect
from typing import Any

import httpx2
import pytest

from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT, savings_by_layer, usage
from sidecar.simulator.answers import Answer, Failure, refusal
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar
from tests.support.ways import QUESTION, RICH, WAYS, Heard

WORDS: Any = {"model": "sonnet", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


def a_gateway(home: Path, claude: RunningSimulator, **settings: Any) -> RunningSidecar:
    return RunningSidecar(home, claude, **{"enable_response_cache": True} | settings)


@pytest.fixture
def gateway(tmp_path: Path, claude: RunningSimulator) -> Iterator[RunningSidecar]:
    with a_gateway(tmp_path, claude) as running:
        yield running


def ask(gateway: RunningSidecar, question: Any = WORDS, *, expect: int = 200, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx2.post(
        f"{gateway.url}/v1/chat/completions",
        json=question,
        headers={"authorization": f"Bearer {gateway.key}", **named},
        timeout=30,
    )
    assert answer.status_code == expect, answer.text
    return answer


def hit(gateway: RunningSidecar, question: Any = WORDS, **headers: str) -> bool:
    return ask(gateway, question, expect=200, **headers).headers["x-cache"] == "HIT"


def calls_to(claude: RunningSimulator) -> int:
    return len(claude.simulator.ledger.messages)


@pytest.mark.parametrize(("first", "again"), [*product(WAYS, WAYS)], ids=lambda way: way.__name__)
def test_whichever_way_it_was_kept_and_is_asked_it_is_the_same_answer(
    gateway: RunningSidecar,
    claude: RunningSimulator,
    first: Callable[[RunningSidecar], Heard],
    again: Callable[[RunningSidecar], Heard],
) -> None:
    claude.simulator.script(RICH)
    kept = first(gateway)
    assert kept.calls[0][2] == {"city": "Köln", "days": [1, 2]}
    assert kept.text == "I look it up. " * 3
    assert kept.prompt_tokens
    assert kept.output_tokens
    assert again(gateway) == kept
    assert calls_to(claude) == 1


def test_a_repeat_is_free_tells_its_age_and_what_it_saved(tmp_path: Path, claude: RunningSimulator) -> None:
    with a_gateway(tmp_path, claude) as gateway:
        first, again = ask(gateway), ask(gateway)
        assert not hit(gateway, {**WORDS, "max_tokens": 101})
    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("MISS", "HIT")
    assert "age" not in first.headers
    assert again.headers["age"] == "0"
    assert again.headers["x-gateway-model"] == "claude-sonnet-5-5"
    assert again.headers["x-gateway-cache-key"] == first.headers["x-gateway-cache-key"]
    assert again.json()["choices"] == first.json()["choices"]
    assert again.json()["id"] != first.json()["id"]
    with closing(Database.open(None, tmp_path)) as database:
        total = usage(database, project=EVERY_PROJECT, by="model").total
        [saved] = savings_by_layer(database, project=EVERY_PROJECT)
    price = claude.simulator.ledger.messages[0].cost
    assert total.cost_micros == claude.simulator.ledger.totals.cost
    assert (saved.layer, saved.requests, saved.saved_micros) == ("response_cache", 1, price)
    assert total.requests == 3


def test_an_answer_lasts_as_long_as_the_setting_says(tmp_path: Path, claude: RunningSimulator) -> None:
    with a_gateway(tmp_path, claude, test_clock=True, cache_ttl_seconds=1800) as gateway:
        ask(gateway, x_cgw_clock="100000")
        later = ask(gateway, x_cgw_clock="101799")
        assert later.headers["x-cache"] == "HIT"
        assert later.headers["age"] in ("1798", "1799")
        assert not hit(gateway, x_cgw_clock="101801")


def test_no_client_tells_the_time_where_none_is_asked_to(tmp_path: Path, claude: RunningSimulator) -> None:
    with a_gateway(tmp_path, claude, cache_ttl_seconds=1800) as gateway:
        assert not hit(gateway, x_cgw_clock="100000")
        later = ask(gateway, x_cgw_clock="999999")
        assert (later.headers["x-cache"], later.headers["age"]) == ("HIT", "0")
        assert hit(gateway, x_cgw_clock="no time at all"), "it is not even read"
    with a_gateway(tmp_path, claude, test_clock=True) as gateway:
        ask(gateway, x_cgw_clock="no time at all", expect=400)


def test_one_that_ends_in_tool_calls_lasts_a_minute(tmp_path: Path, claude: RunningSimulator) -> None:
    claude.simulator.script(*[RICH] * 4)
    with a_gateway(tmp_path, claude, test_clock=True) as gateway:
        assert not hit(gateway, QUESTION, x_cgw_clock="100000")
        assert hit(gateway, QUESTION, x_cgw_clock="100059")
        assert not hit(gateway, QUESTION, x_cgw_clock="100061")
    with a_gateway(tmp_path, claude, cache_tool_call_ttl_seconds=0) as gateway:
        assert [hit(gateway, {**QUESTION, "max_tokens": 3999}) for _ in range(2)] == [False, False]


def test_no_cache_asks_claude_again_and_keeps_what_it_says(gateway: RunningSidecar, claude: RunningSimulator) -> None:
    claude.simulator.script(Answer("old"), Answer("new"))
    ask(gateway)
    assert not hit(gateway, cache_control="no-cache")
    again = ask(gateway)
    assert again.headers["x-cache"] == "HIT"
    assert again.json()["choices"][0]["message"]["content"] == "new"


def test_no_store_neither_takes_an_answer_nor_leaves_one(gateway: RunningSidecar, claude: RunningSimulator) -> None:
    assert [hit(gateway, cache_control="no-store") for _ in range(2)] == [False, False]
    assert [hit(gateway) for _ in range(2)] == [False, True]
    assert not hit(gateway, cache_control="no-store")
    assert calls_to(claude) == 4


def test_max_age_wants_a_younger_one(tmp_path: Path, claude: RunningSimulator) -> None:
    with a_gateway(tmp_path, claude, test_clock=True) as gateway:
        ask(gateway, x_cgw_clock="100000")
        assert hit(gateway, x_cgw_clock="100020", cache_control="max-age=30")
        assert not hit(gateway, x_cgw_clock="100040", cache_control="max-age=30")
        assert hit(gateway, x_cgw_clock="100041", cache_control="max-age=30"), "the new one"


def test_a_request_may_say_how_long_its_answer_lasts(tmp_path: Path, claude: RunningSimulator) -> None:
    with a_gateway(tmp_path, claude, test_clock=True) as gateway:
        ask(gateway, x_cgw_clock="100000", x_gateway_cache_ttl="5")
        assert hit(gateway, x_cgw_clock="100004")
        assert not hit(gateway, x_cgw_clock="100006", x_gateway_cache_ttl="0")
        unread = ask(gateway, x_cgw_clock="100007", x_gateway_cache_ttl="long")
        assert unread.headers["x-cache"] == "MISS", "the one before was not to be kept"
        assert unread.headers["x-gateway-report"] == (
            "x-gateway-cache-ttl=ignored ('long' is no whole number of seconds)"
        )
        assert hit(gateway, x_cgw_clock="101000")


INCOMPLETE: list[Answer | Failure] = [
    refusal(),
    Answer("cut", stop_reason="max_tokens"),
    Answer("cut", stop_reason="model_context_window_exceeded"),
    Answer("later", stop_reason="pause_turn"),
    Answer("broken off " * 20, cut_after=6),
    Failure(529),
]
IN_A_STREAM = [Answer("overloaded " * 20, error_after=6), Answer("overloaded", error_after=0)]


@pytest.mark.parametrize(
    ("incomplete", "stream"),
    [*product(INCOMPLETE, (False, True)), *product(IN_A_STREAM, (True,))],
    ids=lambda given: str(given)[:60],
)
def test_what_is_not_all_of_an_answer_is_never_kept(
    gateway: RunningSidecar, claude: RunningSimulator, incomplete: Answer | Failure, stream: bool
) -> None:
    claude.simulator.script(incomplete)
    httpx2.post(
        f"{gateway.url}/v1/messages",
        json={**WORDS, "stream": stream},
        headers={"x-api-key": gateway.key},
        timeout=30,
    )
    assert not hit(gateway)
    assert hit(gateway)
    assert calls_to(claude) == 2


def test_an_answer_that_its_client_left_is_not_kept(gateway: RunningSidecar, claude: RunningSimulator) -> None:
    claude.simulator.script(Answer("many words " * 40, silent_after=8, silence=3600))
    with httpx2.stream(
        "POST",
        f"{gateway.url}/v1/messages",
        json={**WORDS, "stream": True},
        headers={"x-api-key": gateway.key},
        timeout=30,
    ) as answer:
        next(answer.iter_raw())
    claude.simulator.ledger.wait(1)
    assert not hit(gateway)


def test_an_answer_that_is_too_long_is_not_kept(
    gateway: RunningSidecar, claude: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.replies.replies.LARGEST_BYTES", 2000)
    claude.simulator.script(*[Answer("a long answer " * 300, stop_reason="end_turn")] * 2)
    assert [hit(gateway) for _ in range(2)] == [False, False]


@pytest.mark.parametrize(
    ("settings", "question", "headers"),
    [
        ({"enable_response_cache": False}, {}, {}),
        ({"cache_ttl_seconds": 0}, {}, {}),
        ({"cache_sampled": False}, {"temperature": 0.5}, {}),
        ({}, {"n": 2}, {}),
        ({}, {}, {"x_gateway_bypass": "1"}),
        ({"holdout_percent": 100.0}, {}, {}),
    ],
    ids=str,
)
def test_where_answers_are_not_to_be_shared_each_request_goes_to_claude(
    tmp_path: Path,
    claude: RunningSimulator,
    settings: dict[str, Any],
    question: dict[str, Any],
    headers: dict[str, str],
) -> None:
    with a_gateway(tmp_path, claude, **settings) as gateway:
        for _ in range(2):
            assert not hit(gateway, WORDS | question, **headers)
    assert calls_to(claude) == 2 * question.get("n", 1)


def test_a_temperature_is_no_reason_to_ask_again(gateway: RunningSidecar) -> None:
    assert [hit(gateway, {**WORDS, "temperature": 0.7}) for _ in range(2)] == [False, True]


def test_a_hit_tells_what_was_not_passed_on_as_the_first_answer_did(gateway: RunningSidecar) -> None:
    first, again = (ask(gateway, {**WORDS, "temperature": 0.7}) for _ in range(2))
    assert "temperature=dropped" in first.headers["x-gateway-report"]
    assert again.headers["x-gateway-report"] == first.headers["x-gateway-report"]


def test_a_strict_request_is_refused_whatever_was_answered_to_others(gateway: RunningSidecar) -> None:
    ask(gateway, {**WORDS, "temperature": 0.7})
    ask(gateway, {**WORDS, "temperature": 0.7}, expect=400, x_gateway_strict="1")


def test_a_hit_costs_nothing_of_a_project_s_limits(tmp_path: Path, claude: RunningSimulator) -> None:
    with a_gateway(tmp_path, claude, rate_limit_enabled=True, rate_limit_rpm=1) as gateway:
        ask(gateway)
        assert hit(gateway)
        ask(gateway, {**WORDS, "max_tokens": 101}, expect=429)
        assert hit(gateway)


def test_answers_outlive_a_restart(tmp_path: Path, claude: RunningSimulator) -> None:
    with a_gateway(tmp_path, claude) as gateway:
        ask(gateway)
    with a_gateway(tmp_path, claude) as gateway:
        assert hit(gateway)


def test_a_team_shares_its_answers_through_redis(tmp_path: Path, claude: RunningSimulator, redis_url: str) -> None:
    with a_gateway(tmp_path / "one", claude, redis_url=redis_url) as one:
        ask(one)
    with a_gateway(tmp_path / "two", claude, redis_url=redis_url) as two:
        assert hit(two)
    with a_gateway(tmp_path / "three", claude) as three:
        assert not hit(three)


def test_another_claude_answers_for_itself(tmp_path: Path, claude: RunningSimulator) -> None:
    with a_gateway(tmp_path, claude) as gateway:
        ask(gateway)
    with RunningSimulator() as other, a_gateway(tmp_path, other) as gateway:
        assert not hit(gateway)


def test_a_damaged_answer_is_thrown_away_counted_and_asked_for_again(
    tmp_path: Path, claude: RunningSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    with a_gateway(tmp_path, claude) as gateway:
        ask(gateway)
    with closing(connect(tmp_path / "cache" / "replies" / "cache.db", isolation_level=None)) as database:
        [(value,)] = database.execute("SELECT value FROM Cache").fetchall()
        database.execute("UPDATE Cache SET value = ?", (value[:-9] + b"!" + value[-8:],))
    with a_gateway(tmp_path, claude) as gateway:
        assert not hit(gateway)
        assert hit(gateway)
        told = httpx2.get(f"{gateway.url}/admin/cache", headers={"x-api-key": gateway.key}).json()
    assert told["since_start"] == {"hits": 1, "misses": 1, "stored": 1, "corrupt": 1}
    assert told["entries"] == 1
    assert "is thrown away" in caplog.text
    assert calls_to(claude) == 2


def test_two_names_of_one_model_are_one_question(gateway: RunningSidecar) -> None:
    ask(gateway)
    assert hit(gateway, {**WORDS, "model": "claude-sonnet-5-5"})
    assert not hit(gateway, {**WORDS, "model": "haiku"})


def test_an_addon_of_the_user_s_sees_a_hit_as_it_sees_any_answer(tmp_path: Path, claude: RunningSimulator) -> None:
    addon = tmp_path / "sees.py"
    addon.write_text(
        "class Sees:\n"
        "    def response(self, exchange):\n"
        "        with open(__file__ + '.seen', 'a') as seen:\n"
        "            print(exchange.cache, exchange.answer['content'][0]['text'][:10], file=seen)\n"
    )
    claude.simulator.script(Answer("the answer"))
    with a_gateway(tmp_path / "home", claude, addon_files=(addon,)) as gateway:
        ask(gateway, {**WORDS, "stream": True})
        ask(gateway, {**WORDS, "stream": True})
    assert addon.with_suffix(".py.seen").read_text() == "MISS the answer\nHIT the answer\n"
