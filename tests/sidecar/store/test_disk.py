"""The disk: nothing that lies there is ever run, nobody else reads it, it has an end, and it may break."""

from __future__ import annotations

import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sidecar.home import Home
from sidecar.store import disk
from sidecar.store.disk import DiskStore
from sidecar.store.raw_disk import ForeignValueError, RawDisk
from sidecar.store.store import open_store

DAY = 86_400
MIB = 2**20


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, traces: Path) -> None:
        self.traces = traces

    def __reduce__(self) -> Any:
        return Path.touch, (self.traces,)


def files(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "cache.db", isolation_level=None)


@pytest.mark.parametrize("beside", [False, True], ids=["in the row", "in a file beside it"])
def test_a_pickle_somebody_put_there_is_never_loaded(
    home: Home, tmp_path: Path, beside: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(home, None, "files", MIB)
    store.set("key", b"ours", DAY)
    store.set("other", b"ours too", DAY)
    bomb, folder = pickle.dumps(Bomb(tmp_path / "exploded")), home.cache_dir / "files"
    (folder / "x.val").write_bytes(bomb)
    with closing(files(folder)) as database:
        row = (4, "x.val", None) if beside else (4, None, bomb)
        database.execute("UPDATE Cache SET mode = ?, filename = ?, value = ? WHERE key = 'key'", row)
        database.execute("INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)", (bomb, bomb))
    assert store.get("key") is None
    assert store.get_many(["key", "other"]) == {"other": b"ours too"}
    assert not (tmp_path / "exploded").exists()
    assert "was not stored raw; it is removed unread" in caplog.text
    store.set("key", b"ours again", DAY)
    assert store.get("key") == b"ours again"
    store.close()


def test_no_file_that_a_row_names_is_read_or_removed(home: Home, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"secret")
    store = open_store(home, None, "files", MIB)
    for mode in (2, 3, 4):
        store.set("key", b"ours", DAY)
        with closing(files(home.cache_dir / "files")) as database:
            database.execute("UPDATE Cache SET mode = ?, filename = ?, value = NULL", (mode, str(precious)))
        assert store.get("key") is None
        store.delete("key")
    assert precious.read_bytes() == b"secret"
    store.close()


@pytest.mark.parametrize("value", [None, 1.5, "text", 3, bytearray(b"x"), ("x",), {}], ids=repr)
def test_only_bytes_are_stored(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError, match="cannot be stored raw"):
        RawDisk(str(tmp_path)).store(value, False)


@pytest.mark.parametrize("key", [None, 1.5, True, ("x",), 2**63], ids=repr)
def test_only_plain_keys_are_stored(tmp_path: Path, key: object) -> None:
    with pytest.raises(TypeError, match="cannot be stored raw"):
        RawDisk(str(tmp_path)).put(key)


def test_plain_keys_come_back(tmp_path: Path) -> None:
    raw = RawDisk(str(tmp_path))
    assert [raw.put(key)[0] for key in ("text", 7, b"bytes")] == ["text", 7, b"bytes"]
    assert [raw.get(key, True) for key in ("text", 7, b"bytes")] == ["text", 7, b"bytes"]
    with pytest.raises(ForeignValueError):
        raw.get(b"pickled", False)
    with pytest.raises(TypeError):
        raw.filename()


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a user's data folder private by its access lists")
def test_nobody_else_can_read_what_is_kept(home: Home) -> None:
    folder = home.cache_dir / "files"
    folder.mkdir(mode=0o755)
    store = open_store(home, None, "files", MIB)
    store.set("key", b"value", DAY)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    store.close()


def test_room_is_made_by_letting_go_of_what_was_used_longest_ago(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "files", 2 * MIB)
    for number in range(200):
        store.set(str(number), b"x" * 30_000, DAY)
        assert store.get("0"), f"used all the time, and gone after {number} others"
    kept = [number for number in range(200) if store.get(str(number))]
    assert kept[0] == 0
    assert kept[1:] == list(range(200 - len(kept) + 1, 200))
    assert 30 < len(kept) < 70
    store.close()
    assert sum(file.stat().st_size for file in (tmp_path / "files").iterdir()) < 3 * MIB


def test_a_lower_bound_holds_from_the_next_start_on(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "files", 8 * MIB)
    for number in range(200):
        store.set(str(number), b"x" * 30_000, DAY)
    store.close()
    smaller = DiskStore(tmp_path / "files", MIB)
    assert smaller.get("199")
    assert smaller.get("0") is None
    smaller.close()
    assert (tmp_path / "files" / "cache.db").stat().st_size <= MIB


def test_one_value_never_drives_out_all_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = DiskStore(tmp_path / "files", MIB)
    store.set("small", b"x", DAY)
    store.set("large", b"x" * MIB, DAY)
    assert (store.get("small"), store.get("large")) == (b"x", None)
    assert "does not take a value of 1048576 bytes" in caplog.text
    store.close()


def test_what_expired_leaves_the_disk(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "files", 8 * MIB)
    for number in range(50):
        store.set(str(number), b"x" * 30_000, 0.01)
    store.close()
    time.sleep(0.05)
    again = DiskStore(tmp_path / "files", 8 * MIB)
    again.get("0")
    again.close()
    with closing(files(tmp_path / "files")) as database:
        assert database.execute("SELECT count(*) FROM Cache").fetchone() == (0,)


def test_its_keys_are_told_past_what_expired_and_what_somebody_else_put_there(home: Home) -> None:
    store = open_store(home, None, "files", MIB)
    store.set("gone", b"value", 0.001)
    store.set("ours", b"value", DAY)
    with closing(files(home.cache_dir / "files")) as database:
        database.execute("INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)", (b"pickled", b"x"))
        database.execute("INSERT INTO Cache (key, raw, mode, value) VALUES (7, 1, 1, ?)", (b"x",))
    store.set("ours too", b"value", DAY)
    time.sleep(0.002)
    assert sorted(store.keys()) == ["ours", "ours too"]
    store.close()


OTHER_PROCESS = """
import sys
from pathlib import Path
from sidecar.home import Home
from sidecar.store.store import open_store

store = open_store(Home(Path(sys.argv[1])), None, "files", 8 * 2**20)
for number in range(100):
    store.set(f"{sys.argv[2]} {number}", sys.argv[2].encode() * number, 86400)
assert all(store.get(f"{sys.argv[2]} {number}") == sys.argv[2].encode() * number for number in range(100))
assert store.ok
store.close()
"""


def test_two_processes_may_use_one_folder_at_once(home: Home) -> None:
    names = ["one", "two"]
    running = [subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, str(home.path), name]) for name in names]
    assert [process.wait(60) for process in running] == [0, 0]
    store = open_store(home, None, "files", 8 * MIB)
    assert all(store.get(f"{name} {number}") == name.encode() * number for name in names for number in range(100))
    store.close()


@pytest.mark.parametrize("damage", [b"this is no database" * 400, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_file_begins_anew(home: Home, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    folder = home.cache_dir / "files"
    folder.mkdir()
    (folder / "cache.db").write_bytes(damage)
    store = open_store(home, None, "files", MIB)
    assert store.get("key") is None
    store.set("key", b"value", DAY)
    assert store.get("key") == b"value"
    assert "is damaged" in caplog.text
    store.close()


FULL_DISK = """
import logging, resource, sys
from pathlib import Path
from sidecar.home import Home
from sidecar.store.store import open_store

logging.basicConfig(stream=sys.stdout)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
store = open_store(Home(Path(sys.argv[1])), None, "files", 8 * 2**20)
for number in range(100):
    store.set(str(number), b"x" * 20_000, 86400)
    store.get(str(number))
store.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process as in POSIX")
def test_a_full_disk_is_a_miss_and_one_line(home: Home) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(home.path)], check=True, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.count("requests go on without what it keeps") == 1
    assert ran.stderr == ""


def test_a_folder_that_cannot_be_made_is_a_miss(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    (home.cache_dir / "files").write_text("in the way")
    store = open_store(home, None, "files", MIB)
    for _ in range(5):
        store.set("key", b"value", DAY)
        assert store.get("key") is None
    assert caplog.text.count("requests go on without what it keeps") == 1
    store.close()


def test_a_file_that_another_process_locks_is_given_up(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "LOCKED_SECONDS", 0.01)
    store = open_store(home, None, "files", MIB)
    store.set("key", b"value", DAY)
    with closing(files(home.cache_dir / "files")) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert store.get("key") is None
        database.execute("ROLLBACK")
    assert "Timeout" in caplog.text
    store.close()


def test_a_disk_that_hangs_is_given_up(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "ANSWER_SECONDS", 0.05)
    folder = home.cache_dir / "files"
    folder.mkdir()
    store = open_store(home, None, "files", MIB)
    with closing(files(folder)) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert store.get("key") is None
        database.execute("ROLLBACK")
    assert "no answer within 0.05 s" in caplog.text
    store.close()
