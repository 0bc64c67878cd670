"""Shelves: entries with an owner and an age, whole or gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from sidecar.home import Home
from sidecar.store.shelves import Shelf, Shelves

MIB = 2**20


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.open()
    return home


@pytest.fixture
def shelf(home: Home) -> Iterator[Shelf]:
    with closing(Shelves(home, None)) as shelves:
        yield shelves("conversations", MIB)


def test_every_entry_has_a_size_an_age_and_an_owner(shelf: Shelf) -> None:
    shelf.put("a", b"hello", 60, project="web")
    shelf.put("b", lambda: b"later", 60)
    assert shelf.flush()
    found = {key: (entry.size, entry.project, round(entry.age(time.time()) / 60)) for key, entry in shelf.entries()}
    assert found == {"a": (5, "web", 0), "b": (5, "", 0)}
    assert shelf.get_many(["a", "b", "c"]) == {"a": b"hello", "b": b"later"}


def test_what_was_damaged_is_never_served_but_dropped_and_counted(
    home: Home, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("a", "b"):
        shelf.put(key, b"hello", 60, project="web")
    assert shelf.flush()
    with closing(connect(home.cache_dir / "conversations" / "cache.db", isolation_level=None)) as database:
        database.execute("UPDATE Cache SET value = CAST(replace(value, 'hello', 'hallo') AS BLOB) WHERE key = 'a'")
    assert (shelf.get("a"), shelf.get("b")) == (None, b"hello")
    assert shelf.corrupt == 1
    assert "thrown away" in caplog.text
    assert shelf.flush()
    assert [key for key, _ in shelf.entries()] == ["b"]
    assert shelf.corrupt == 1, "it is gone, so it is not found damaged again"


def test_a_shelf_says_how_many_were_damaged(home: Home) -> None:
    with closing(Shelves(home, None)) as shelves:
        shelves("files", MIB).drop("a", "it made no sense")
        shelves("pace", MIB)
        assert shelves.corrupt() == {"files": 1, "pace": 0}


def test_what_is_forgotten_is_gone_at_once_also_what_waits_to_be_written(shelf: Shelf) -> None:
    keys = [str(number) for number in range(1500)]
    for start in (0, 750):
        for key in keys[start : start + 750]:
            shelf.put(key, b"x", 60)
        assert shelf.flush()
    shelf.put("0", b"newer", 60)
    shelf.forget(keys)
    assert not [*shelf.entries()]


def test_no_two_things_are_kept_under_one_name(home: Home) -> None:
    with closing(Shelves(home, None)) as shelves:
        assert shelves("files", MIB) is shelves("files", MIB)
        with pytest.raises(ValueError, match="two things"):
            shelves("files", 2 * MIB)
