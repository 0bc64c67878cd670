"""Only what is the same in all that an answer depends on is known again."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from sidecar.exchange import Exchange
from sidecar.projects.policy import Policy
from sidecar.replies.repeats import BESIDE, LONGEST, MOST_BYTES, Repeats
from tests.support.exchanges import an_exchange

HEADERS = {"anthropic-version": "2026-10-21", "user-agent": "me"}


def asked(**fields: Any) -> Exchange:
    usual = {"client_body": b'{"model":"sonnet","messages":[]}', "reply_key": "k", "client_headers": HEADERS}
    exchange = an_exchange()
    for name, value in {**usual, **fields}.items():
        setattr(exchange, name, value)
    return exchange


def test_the_same_request_is_known_again_whoever_sends_it_and_whether_it_streams() -> None:
    repeats = Repeats()
    repeats.learn(asked())
    assert repeats.key(asked(reply_key=None)) == "k"
    assert repeats.key(asked(stream=True, client="aider", client_headers={**HEADERS, "user-agent": "you"})) == "k"
    assert repeats.key(asked(client_headers={**HEADERS, "x-gateway-bypass": "0", "x-gateway-cache-ttl": "9"})) == "k"


@pytest.mark.parametrize(
    "fields",
    [
        {"client_body": b'{"model":"sonnet","messages":[ ]}'},
        {"client_body": b'{"model":"tennis","messages":[]}'},
        {"dialect": "anthropic_messages"},
        {"project": "another"},
        {"model_resolved": "claude-opus-5-5"},
        {"effort_hint": "high"},
        {"wish": "auto"},
        {"choices": 2},
        {"query": "beta=true"},
        {"policy": Policy(switches={"enable_response_cache": False})},
        {"policy": Policy(denied=("opus",))},
        {"client_headers": {**HEADERS, "anthropic-version": "2023-06-01"}},
        {"client_headers": {**HEADERS, "anthropic-beta": "new"}},
        {"client_headers": {**HEADERS, "x-gateway-routing": "off"}},
        {"client_headers": {}},
    ],
    ids=str,
)
def test_what_differs_in_anything_that_counts_is_another_request(fields: dict[str, Any]) -> None:
    repeats = Repeats()
    repeats.learn(asked())
    assert repeats.key(asked(**fields)) is None


def test_one_that_goes_on_from_a_stored_response_is_always_looked_into() -> None:
    repeats = Repeats()
    stored = {"client_body": b'{"previous_response_id":"r"}', "dialect": "openai_chat"}
    repeats.learn(asked(**stored))
    repeats.learn(asked(dialect="openai_responses"))
    repeats.learn(asked(client_body=b"x" * (LONGEST + 1)))
    assert repeats.key(asked(**stored)) is None
    assert repeats.key(asked(dialect="openai_responses")) is None
    assert repeats.key(asked(client_body=b"x" * (LONGEST + 1))) is None


def test_what_was_asked_longest_ago_is_forgotten_first() -> None:
    repeats, each = Repeats(), MOST_BYTES // 20 - BESIDE
    bodies = [b"%020d" % number * (each // 20) for number in range(21)]
    for body in bodies[:-1]:
        repeats.learn(asked(client_body=body))
    assert repeats.key(asked(client_body=bodies[0])) == "k"
    repeats.learn(asked(client_body=bodies[-1]))
    known = [repeats.key(asked(client_body=body)) is not None for body in bodies]
    assert known == [True, False, *[True] * 19]


def test_short_ones_take_no_more_memory_than_all_may() -> None:
    """Each of them takes five times its body."""
    repeats = Repeats()
    tracemalloc.start()
    try:
        for number in range(2 * MOST_BYTES // BESIDE):
            repeats.learn(asked(client_body=b'{"messages":[%09d]}' % number, reply_key=f"{number:040x}"))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 1.5 * MOST_BYTES
