"""What is known to be there is never taken for missing, and most of what is missing is known to be."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from sidecar.home import Home
from sidecar.store.known_keys import KnownKeys
from sidecar.store.store import Store, open_store

DAY = 86_400
MIB = 2**20


@given(st.sets(st.text()), st.text())
def test_what_was_added_is_never_missing(keys: set[str], other: str) -> None:
    known = KnownKeys()
    known.add(keys)
    assert all(key in known for key in keys)
    assert other in keys or other not in known


def test_few_keys_are_taken_for_others() -> None:
    known = KnownKeys(f"kept/{number}" for number in range(100_000))
    assert sum(f"asked/{number}" in known for number in range(10_000)) < 100


def comes_to_know(store: Store, key: str) -> bool:
    """Asks until it says that it surely has no such key, as long as that takes a moment."""
    until = time.monotonic() + 60
    while not (lacks := store.lacks(key)) and time.monotonic() < until:
        store.get("anything")
        time.sleep(0.001)
    return lacks


def test_a_disk_knows_what_it_lacks_and_is_never_wrong_about_what_it_has(home: Home) -> None:
    store = open_store(home, None, "files", MIB)
    assert not store.lacks("key"), "nobody has looked yet"
    store.set("old", b"value", DAY)
    store.close()
    store = open_store(home, None, "files", MIB)
    assert comes_to_know(store, "key")
    assert not store.lacks("old")
    store.set("key", b"value", DAY)
    assert not store.lacks("key")
    store.delete("key")
    store.close()


def test_what_another_sidecar_writes_is_found(home: Home) -> None:
    ours, theirs = open_store(home, None, "files", MIB), open_store(home, None, "files", MIB)
    assert comes_to_know(ours, "key")
    theirs.set("key", b"value", DAY)
    until = time.monotonic() + 60
    while ours.lacks("key") and time.monotonic() < until:
        time.sleep(0.02)
    assert ours.get("key") == b"value"
    ours.get("anything")
    assert not ours.lacks("key")
    for store in (ours, theirs):
        store.close()
