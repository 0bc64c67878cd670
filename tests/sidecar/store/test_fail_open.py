"""A store that is lost is a miss, told once, and found again."""

from __future__ import annotations

import pytest

from sidecar.home import Home
from sidecar.store.fail_open import LAST_RETRY, FailOpen
from sidecar.store.store import open_store
from tests.support.servers import RedisServer, ServerMissingError
from tests.support.stores import DictStore

DAY = 86_400


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_lost_store_is_left_alone_for_longer_and_longer_and_then_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf, clock = DictStore(), Clock()
    store = FailOpen(lambda: shelf, "the shelf", clock=clock)
    shelf.broken = True
    gaps = []
    last = 0.0
    while clock.now < 60:
        before = shelf.asked
        assert store.get("key") is None
        if shelf.asked > before:
            gaps.append(clock.now - last)
            last = clock.now
        clock.now += 0.5
    assert gaps[:5] == [0, 0.5, 1, 2, 4]
    assert set(gaps[6:]) == {LAST_RETRY}
    assert not store.ok
    assert caplog.text.count("the shelf cannot be used (the shelf fell down)") == 1
    shelf.broken = False
    clock.now += LAST_RETRY
    store.set("key", b"value", DAY)
    assert store.get("key") == b"value"
    assert store.ok
    assert caplog.text.count("the shelf answers again") == 1


def test_an_opening_that_failed_is_tried_again() -> None:
    shelf, clock, broken = DictStore(), Clock(), [True]

    def opening() -> DictStore:
        if broken:
            broken.clear()
            raise ValueError("not yet")
        return shelf

    store = FailOpen(opening, "the shelf", clock=clock)
    assert store.get_many(["key"]) == {}
    clock.now += 1
    store.set("key", b"value", DAY)
    assert store.get_many(["key"]) == {"key": b"value"}


def test_a_redis_that_is_lost_is_a_miss_until_it_is_back(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    try:
        server = RedisServer()
    except ServerMissingError as missing:
        pytest.skip(f"{missing} is not installed")
    clock = Clock()
    with server:
        inner = open_store(home, server.url, "files", 10)
        assert isinstance(inner, FailOpen)
        store = FailOpen(inner._open_it, "Redis", clock=clock)
        store.set("key", b"value", DAY)
        server.stop()
        for _ in range(10):
            assert store.get("key") is None
            store.set("key", b"lost", DAY)
        server.start()
        clock.now += LAST_RETRY
        assert store.get("key") is None
        store.set("key", b"value", DAY)
        assert store.get("key") == b"value"
        store.close()
    assert caplog.text.count("requests go on without what it keeps") == 1
    assert caplog.text.count("answers again") == 1


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://:secret@127.0.0.1:1/0", "nonsense"])
def test_a_redis_that_was_never_there_is_a_miss_and_its_password_no_news(
    home: Home, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(home, url, "files", 10)
    store.set("key", b"value", DAY)
    assert store.get("key") is None
    assert caplog.text.count("requests go on without what it keeps") == 1
    assert "secret" not in caplog.text
    store.close()
