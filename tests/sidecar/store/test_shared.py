"""How values lie in Redis."""

from __future__ import annotations

from redis import Redis

from sidecar.home import Home
from sidecar.store.store import open_store


def test_keys_have_our_prefix_and_an_end(home: Home, redis_url: str) -> None:
    store = open_store(home, redis_url, "lying", 10)
    store.set("a key", b"\x80value", 100)
    store.close()
    with Redis.from_url(redis_url) as redis:
        assert redis.get("cgw:lying:a key") == b"\x80value"
        assert 0 < redis.pttl("cgw:lying:a key") <= 100_000


def test_what_somebody_else_put_there_is_a_miss(home: Home, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.lpush("cgw:foreign:key", b"a list")
    store = open_store(home, redis_url, "foreign", 10)
    assert store.get("key") is None
    store.close()


def test_a_url_that_asks_for_text_still_gives_bytes_or_nothing(home: Home, redis_url: str) -> None:
    store = open_store(home, f"{redis_url}?decode_responses=True", "text", 10)
    store.set("key", b"value", 100)
    assert store.get("key") in (b"value", None)
    store.close()
