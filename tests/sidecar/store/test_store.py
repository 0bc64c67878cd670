"""What a store promises, on the disk and in Redis."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.home import Home
from sidecar.store.store import Store, open_store
from tests.support import thorough

DAY = 86_400


@settings(suppress_health_check=thorough.ONE_FIXTURE, deadline=None, max_examples=40)
@given(st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode()), st.binary(max_size=2000))
def test_any_bytes_come_back_as_they_were(store: Store, key: str, value: bytes) -> None:
    store.set(key, value, DAY)
    assert store.get(key) == value
    assert store.get_many([key, f"not {key}"]) == {key: value}


def test_a_large_value_comes_back_as_it_was(store: Store) -> None:
    value = bytes(range(256)) * 4096
    store.set("large", value, DAY)
    assert store.get("large") == value


def test_what_was_never_kept_is_a_miss(store: Store) -> None:
    assert store.get("nothing") is None
    assert store.get_many([]) == store.get_many(["nothing"]) == {}
    store.delete("nothing")


def test_a_later_value_replaces_an_earlier_one_and_deletion_forgets(store: Store) -> None:
    store.set("key", b"one", DAY)
    store.set("key", b"two", DAY)
    assert store.get("key") == b"two"
    store.delete("key")
    assert store.get("key") is None


def test_a_value_is_gone_when_its_time_is_up(store: Store) -> None:
    store.set("short", b"x", 0.05)
    store.set("long", b"x", DAY)
    time.sleep(0.1)
    assert store.get("short") is None
    assert store.get("long") == b"x"


def test_what_one_sidecar_keeps_another_one_finds(opens: Callable[..., Store]) -> None:
    opens().set("key", b"value", DAY)
    assert opens().get("key") == b"value"


def test_namespaces_are_apart(opens: Callable[..., Store]) -> None:
    opens("files").set("key", b"value", DAY)
    assert opens("cuts").get("key") is None


def test_many_threads_may_ask_at_once(store: Store) -> None:
    def turn(number: int) -> bytes | None:
        store.set(f"key {number}", b"%d" % number, DAY)
        return store.get(f"key {number}")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(turn, range(80))) == [b"%d" % number for number in range(80)]


def test_a_hundred_writers_at_once_leave_every_value_whole(store: Store) -> None:
    def write(number: int) -> None:
        for turn in range(3):
            store.set(f"own {number}", b"%03d" % number * (100 + turn), DAY)
            store.set("everybody's", b"%03d" % number * 1000, DAY)

    with ThreadPoolExecutor(100) as writers:
        list(writers.map(write, range(100)))
    for number in range(100):
        assert store.get(f"own {number}") == b"%03d" % number * 102
    last = store.get("everybody's")
    assert last is not None
    assert last == last[:3] * 1000


def test_its_keys_are_told_and_nobody_else_s(opens: Callable[..., Store]) -> None:
    store, other = opens(), opens("of_others")
    assert not store.keys()
    for key in ("one", "two", "naïve"):
        store.set(key, b"value", DAY)
    store.delete("two")
    other.set("three", b"value", DAY)
    assert sorted(store.keys()) == ["naïve", "one"]
    store.close()
    assert not store.keys()


def test_a_value_that_is_not_bytes_is_a_fault_of_ours(store: Store) -> None:
    with pytest.raises(TypeError, match="keeps bytes, not dict"):
        store.set("key", {}, DAY)  # type: ignore[arg-type]


def test_after_its_end_a_store_misses_everything(store: Store) -> None:
    store.set("key", b"value", DAY)
    store.close()
    store.set("key", b"value", DAY)
    assert store.get("key") is None
    store.close()


@pytest.mark.parametrize("namespace", ["", "Files", "../up", "a b", "x" * 41])
def test_a_namespace_is_a_plain_word(home: Home, namespace: str) -> None:
    with pytest.raises(ValueError, match="name of a namespace"):
        open_store(home, None, namespace, 1)


def test_opening_imports_neither_diskcache_nor_redis() -> None:
    code = (
        "import sys; from pathlib import Path; from sidecar.home import Home; import sidecar.store.writer;"
        "from sidecar.store.store import open_store;"
        "[open_store(Home(Path('.')), url, 'files', 10) for url in (None, 'redis://127.0.0.1:1/0')];"
        "assert not {'diskcache', 'redis', 'sqlite3', 'pickle'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
