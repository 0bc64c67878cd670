"""Which files were sent how often, and what that cost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.file_cache import LONGEST_PATH, SHARD_FILES, SHARDS, FileCache, as_json
from sidecar.store.entry import Entry
from sidecar.store.fail_open import FailOpen
from sidecar.store.shelves import Shelf
from tests.support.stores import DictStore

NOON = 1_795_348_800.0


def digest(number: int) -> bytes:
    """Each in a shard of its own, for the first 32."""
    return bytes([number % 256]) + number.to_bytes(15, "big")


def test_the_files_resent_most_come_first() -> None:
    cache = FileCache(Shelf(DictStore(), "files"))
    for path, number, tokens, times in (("a.py", 1, 100, 3), ("b.py", 2, 1000, 2), ("c.py", 3, 10**6, 1)):
        for _ in range(times):
            cache.seen("web", path, digest(number), tokens=tokens, saved=tokens // 2, now=NOON)
    found = cache.most_resent(10)
    assert [(file.path, file.times, file.resent_tokens, file.saved_tokens) for file in found] == [
        ("b.py", 2, 1000, 1000),
        ("a.py", 3, 200, 150),
    ]
    assert cache.most_resent(1) == found[:1]
    assert cache.most_resent(0) == []


def test_a_known_content_need_not_be_counted_again() -> None:
    cache = FileCache(Shelf(DictStore(), "files"))
    assert cache.tokens("web", digest(1)) is None
    cache.seen("web", "a.py", digest(1), tokens=321, saved=0, now=NOON)
    assert cache.tokens("web", digest(1)) == 321


def test_a_name_once_known_stays_when_the_content_comes_without_one() -> None:
    cache = FileCache(Shelf(DictStore(), "files"))
    cache.seen("web", "src/a.py", digest(1), tokens=1, saved=0, now=NOON)
    cache.seen("web", None, digest(1), tokens=1, saved=1, now=NOON + 5)
    cache.seen("web", "x" * 1000 + "/end.py", digest(2), tokens=1, saved=0, now=NOON)
    cache.seen("web", None, digest(2), tokens=1, saved=0, now=NOON)
    [named, long] = sorted(cache.most_resent(2), key=lambda file: file.digest)
    assert (named.path, named.last_seen) == ("src/a.py", NOON + 5)
    assert long.path is not None
    assert len(long.path) == LONGEST_PATH
    assert long.path.endswith("/end.py")


def test_what_was_counted_is_there_after_a_restart() -> None:
    store = DictStore()
    cache = FileCache(shelf := Shelf(store, "files"))
    cache.load()
    for number in range(100):
        for _ in range(2):
            cache.seen("web", f"{number}.py", digest(number), tokens=number, saved=1, now=NOON)
    assert shelf.close()
    again = FileCache(Shelf(store, "files"))
    again.load()
    assert again.most_resent(100) == cache.most_resent(100)
    assert len(again.most_resent(100)) == 100


def test_what_passes_before_the_kept_is_read_is_added_to_it() -> None:
    store = DictStore()
    before = FileCache(shelf := Shelf(store, "files"))
    before.load()
    for _ in range(3):
        before.seen("web", "a.py", digest(1), tokens=10, saved=5, now=NOON)
    assert shelf.close()
    cache = FileCache(shelf := Shelf(store, "files"))
    for _ in range(2):
        cache.seen("web", None, digest(1), tokens=10, saved=5, now=NOON + 10)
    assert shelf.flush()
    cache.load()
    assert shelf.close()
    again = FileCache(Shelf(store, "files"))
    again.load()
    [file] = again.most_resent(5)
    assert (file.path, file.times, file.saved_tokens, file.last_seen) == ("a.py", 5, 25, NOON + 10)


def test_the_number_of_files_is_bounded_and_those_seen_last_are_kept() -> None:
    cache = FileCache(Shelf(DictStore(), "files"))
    files = SHARDS * SHARD_FILES * 2
    for _ in range(2):
        for number in range(files):
            cache.seen("web", None, digest(number), tokens=1, saved=0, now=NOON + number)
    kept = cache.most_resent(files)
    assert len(kept) <= SHARDS * SHARD_FILES
    for number in range(files - SHARDS, files):
        cache.seen("web", None, digest(number), tokens=1, saved=0, now=NOON)
    assert all(cache.tokens("web", digest(number)) for number in range(files - SHARDS, files))


def test_what_is_damaged_begins_anew_and_is_counted() -> None:
    store = DictStore()
    cache = FileCache(shelf := Shelf(store, "files"))
    cache.load()
    cache.seen("web", "a.py", digest(1), tokens=1, saved=0, now=NOON)
    assert shelf.close()
    [(key, whole)] = store.items()
    broken = (b"{", b'[{"digest": 1}]', b"7", b"[7]")
    for kept in (whole[:-1], b"", *(Entry(value, "", NOON).to_bytes(key) for value in broken)):
        store[key] = kept
        again = FileCache(shelf := Shelf(store, "files"))
        again.load()
        assert again.most_resent(5) == []
        assert shelf.corrupt == 1
        assert shelf.close()
        assert key not in store


def test_the_same_content_in_two_projects_is_counted_for_each() -> None:
    cache = FileCache(Shelf(DictStore(), "files"))
    for project in ("web", "app", "web"):
        cache.seen(project, "a.py", digest(1), tokens=10, saved=0, now=NOON)
    assert [(file.project, file.times) for file in cache.most_resent(5)] == [("web", 2)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**6)), max_size=40))
def test_nothing_that_was_seen_is_counted_twice_or_lost(seen: list[tuple[int, int]]) -> None:
    cache = FileCache(Shelf(DictStore(), "files"))
    for number, saved in seen:
        cache.seen("web", None, digest(number), tokens=7, saved=saved, now=NOON)
    often = [number for number, _ in seen if [other for other, _ in seen].count(number) > 1]
    told = as_json(cache.most_resent(100))["files"]
    assert sum(file["times"] for file in told) == len(often)
    assert sum(file["saved_tokens"] for file in told) == sum(saved for number, saved in seen if number in often)
    assert all(file["resent_tokens"] == 7 * (file["times"] - 1) for file in told)


def test_without_a_store_it_counts_for_itself() -> None:
    store = DictStore()
    store.broken = True
    cache = FileCache(shelf := Shelf(FailOpen(lambda: store, "the shelf"), "files"))
    cache.load()
    cache.seen("web", "a.py", digest(1), tokens=5, saved=0, now=NOON)
    assert cache.tokens("web", digest(1)) == 5
    assert shelf.close()
