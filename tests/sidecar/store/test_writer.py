"""Writes beside the requests."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.store.store import Store
from sidecar.store.writer import StoreWriter
from tests.support.stores import DictStore

DAY = 86_400


class SlowShelf(DictStore):
    """Takes the next value only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_for = threading.Event()
        self.may = threading.Event()

    def set(self, key: str, value: bytes, ttl_seconds: float) -> None:
        self.asked_for.set()
        assert self.may.wait(10)
        super().set(key, value, ttl_seconds)


def test_what_was_written_is_there_after_a_flush_and_after_the_end(store: Store) -> None:
    writer = StoreWriter(store)
    writer.set("one", b"1", DAY)
    writer.set("two", lambda: b"2", DAY)
    assert writer.flush()
    assert store.get_many(["one", "two"]) == {"one": b"1", "two": b"2"}
    writer.delete("one")
    writer.set("three", b"3", DAY)
    assert writer.close()
    assert store.get_many(["one", "three"]) == {"three": b"3"}


def test_a_writer_that_had_nothing_to_do_ends_at_once() -> None:
    writer = StoreWriter(DictStore())
    assert writer.flush()
    assert writer.close()
    writer.set("late", b"x", DAY)
    assert writer.close()


def test_a_slow_store_holds_nobody_up_and_gets_the_newest_of_a_key() -> None:
    shelf = SlowShelf()
    writer = StoreWriter(shelf, interval=0)
    writer.set("first", b"x", DAY)
    assert shelf.asked_for.wait(10)
    for number in range(1000):
        writer.set("key", b"%d" % number, DAY)
    assert not writer.flush(timeout=0.01)
    shelf.may.set()
    assert writer.close()
    assert shelf == {"first": b"x", "key": b"999"}
    assert shelf.asked == 2


@pytest.mark.parametrize("bound", [{"most_waiting": 3}, {"most_bytes": 30}])
def test_the_oldest_is_dropped_when_too_much_waits(bound: dict[str, int], caplog: pytest.LogCaptureFixture) -> None:
    shelf = SlowShelf()
    writer = StoreWriter(shelf, interval=0, **bound)
    writer.set("first", b"x" * 10, DAY)
    assert shelf.asked_for.wait(10)
    for number in range(20):
        writer.set(str(number), b"x" * 10, DAY)
    shelf.may.set()
    assert writer.close()
    assert list(shelf) == ["first", "17", "18", "19"]
    assert caplog.text.count("the oldest is left out") == 1


def test_a_value_that_cannot_be_made_is_told_and_the_others_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    shelf = DictStore()
    writer = StoreWriter(shelf)
    writer.set("bad", lambda: b"%d" % len(shelf["nowhere"]), DAY)
    writer.set("good", b"x", DAY)
    assert writer.close()
    assert shelf == {"good": b"x"}
    assert "'bad' cannot be kept: 'nowhere'" in caplog.text


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.binary(max_size=3)), max_size=12))
def test_the_last_word_on_each_key_counts(words: list[tuple[str, bytes | None]]) -> None:
    shelf, expected = DictStore(), dict[str, bytes]()
    writer = StoreWriter(shelf, interval=0)
    for key, value in words:
        if value is None:
            writer.delete(key)
            expected.pop(key, None)
        else:
            writer.set(key, value, DAY)
            expected[key] = value
    assert writer.close()
    assert shelf == expected


def test_in_a_hurry_nothing_waits_for_company() -> None:
    shelf = SlowShelf()
    shelf.may.set()
    writer = StoreWriter(shelf, interval=3600)
    writer.set("one", b"1", DAY)
    writer.hurry()
    assert shelf.asked_for.wait(30)
    assert writer.flush()
    shelf.asked_for.clear()
    writer.set("two", b"2", DAY)
    assert shelf.asked_for.wait(30)
    assert writer.close()
