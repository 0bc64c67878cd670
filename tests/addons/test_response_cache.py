"""Which requests the response cache knows at all. What becomes of them is in `end_to_end`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from addons.response_cache import ResponseCache
from sidecar.exchange import Exchange
from sidecar.projects.policy import Policy
from sidecar.sse import EventSplitter
from tests.support.talks import Talk, user

REQUEST = {"model": "sonnet", "messages": [user("hello")]}

Talking = Callable[..., Talk]


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[Talking]:
    talks: list[Talk] = []

    def talk(**settings: Any) -> Talk:
        talks.append(Talk(tmp_path, ResponseCache, **settings))
        return talks[-1]

    yield talk
    for one in talks:
        one.close()


def is_known(talk: Talk, **fields: Any) -> bool:
    talk.send(REQUEST, **fields)
    assert (talk.exchange.reply_key is None) == ("x-gateway-cache-key" not in talk.exchange.response_headers)
    return talk.exchange.reply_key is not None


def test_a_project_decides_for_itself(talking: Talking) -> None:
    on, off = (Policy(switches={"enable_response_cache": choice}) for choice in (True, False))
    talk = talking()
    assert is_known(talk)
    assert not is_known(talk, policy=off)
    talk = talking(enable_response_cache=False)
    assert not is_known(talk)
    assert is_known(talk, policy=on)


def test_equal_requests_have_one_key_and_another_project_s_has_its_own(talking: Talking) -> None:
    talk, keys = talking(), []
    for project in ("web", "web", "other"):
        talk.send(REQUEST, project=project)
        keys.append(talk.exchange.reply_key)
    assert keys[0] == keys[1] != keys[2]


def test_where_nothing_is_kept_equal_requests_are_known_all_the_same(talking: Talking) -> None:
    talk = talking(cache_ttl_seconds=0)
    assert is_known(talk)
    assert talk.exchange.call is None


@pytest.mark.parametrize("headers", [{"cache-control": "no-store"}], ids=str)
def test_who_wants_nothing_shared_has_no_key(talking: Talking, headers: dict[str, str]) -> None:
    assert not is_known(talking(), client_headers=headers)


def test_a_shape_that_the_api_is_to_judge_has_no_key(talking: Talking) -> None:
    talk = talking()
    talk.send({"model": "sonnet", "messages": [{"role": "user", "content": 7}]})
    assert talk.exchange.reply_key is None


@pytest.mark.parametrize("asked_twice", [False, True])
def test_an_answer_that_the_guard_asked_for_twice_is_not_kept(talking: Talking, asked_twice: bool) -> None:
    talk = talking()
    assert is_known(talk)
    exchange = talk.exchange
    if asked_twice:
        exchange.retract("size_limits")
    exchange.stop_reason = "end_turn"
    asyncio.run(all_comes(exchange))
    assert talk.services.replies.counts["stored"] == (0 if asked_twice else 1)


async def all_comes(exchange: Exchange) -> None:
    call = exchange.call
    assert call is not None
    reader = call.join()
    call.begin(call.write(EventSplitter().feed(b"event: message_stop\ndata: {}\n\n")))
    while await call.read(reader) is not None:
        pass
