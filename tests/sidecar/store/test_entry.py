"""What is kept comes back as it was, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.store.entry import CorruptEntryError, Entry

ENTRY = Entry(b"value", "web", 1000.5)
NAMES = st.text(st.characters(), max_size=20)


@given(value=st.binary(max_size=200), key=NAMES, project=NAMES, stored_at=st.floats(0, 1e10))
def test_it_comes_back_as_it_was(value: bytes, key: str, project: str, stored_at: float) -> None:
    entry = Entry(value, project, stored_at)
    assert Entry.from_bytes(key, entry.to_bytes(key)) == entry
    assert entry.size == len(value)


def test_a_clock_set_back_makes_it_new() -> None:
    assert (ENTRY.age(1010.5), ENTRY.age(3.0)) == (10.0, 0.0)


@given(data=st.data())
def test_no_damage_is_ever_read(data: st.DataObject) -> None:
    kept = ENTRY.to_bytes("a1")
    at = data.draw(st.integers(0, len(kept) - 1))
    damaged = data.draw(
        st.one_of(
            st.just(kept[:at]),
            st.binary(min_size=1, max_size=4).map(lambda other: kept[:at] + other + kept[at + len(other) :]),
            st.just(kept + b"x"),
            st.binary(max_size=80),
        )
    )
    if damaged == kept:
        return
    with pytest.raises(CorruptEntryError):
        Entry.from_bytes("a1", damaged)


def test_an_entry_under_another_key_is_not_its_entry() -> None:
    with pytest.raises(CorruptEntryError):
        Entry.from_bytes("a2", ENTRY.to_bytes("a1"))
