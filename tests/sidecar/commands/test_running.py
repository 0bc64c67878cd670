"""One sidecar a home folder, found when it lives and forgotten when it died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar import __version__
from sidecar.commands.file_lock import FileLock, is_held
from sidecar.commands.running import (
    AlreadyRunningError,
    announce,
    claimed,
    find,
    health,
    is_claimed,
    wait_until_stopped,
)
from sidecar.home import Home

URL = "http://127.0.0.1:4343"

DIES_WITHOUT_CLEANING_UP = f"""
import os, sys
from pathlib import Path
from sidecar.home import Home
from sidecar.commands.running import announce, claimed
with claimed(home := Home(Path(sys.argv[1]))):
    announce(home, "{URL}")
    print("up", flush=True)
    sys.stdin.read()
    os._exit(9)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_nothing_runs_in_a_new_home(home: Home) -> None:
    assert find(home) is None
    assert not is_claimed(home)
    assert not home.path.exists(), "looking must not create anything"


@pytest.mark.parametrize("pid", ["7", -1, 0, None, True])
def test_a_state_file_whose_process_is_none_is_not_believed(home: Home, pid: object) -> None:
    with claimed(home):
        announce(home, URL)
        told = json.loads(home.state_file.read_bytes())
        home.state_file.write_text(json.dumps({**told, "pid": pid}))
        assert find(home) is None


def test_a_running_sidecar_is_found_as_it_announced_itself(home: Home) -> None:
    with claimed(home):
        announce(home, URL)
        running = find(home)
    assert running is not None
    assert (running.pid, running.url, running.version) == (os.getpid(), URL, __version__)
    assert running.started.endswith("+00:00")


def test_after_its_end_it_is_gone_with_its_state_file(home: Home) -> None:
    with claimed(home):
        announce(home, URL)
    assert find(home) is None
    assert not home.state_file.exists()


def test_one_that_starts_is_claimed_but_not_found_yet(home: Home) -> None:
    with claimed(home):
        assert is_claimed(home)
        assert find(home) is None


def test_a_second_one_is_refused_and_told_where_the_first_is(home: Home) -> None:
    told = rf"already runs at {URL} \(process {os.getpid()}\).*cgw down"
    with claimed(home):
        announce(home, URL)
        with pytest.raises(AlreadyRunningError, match=told), claimed(home):
            pass


def test_a_refused_second_one_leaves_the_first_alone(home: Home) -> None:
    with claimed(home):
        announce(home, URL)
        with pytest.raises(AlreadyRunningError), claimed(home):
            pass
        assert find(home) is not None


def test_what_a_crash_left_behind_deceives_nobody(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DIES_WITHOUT_CLEANING_UP, str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        running = find(home)
        assert running is not None
        assert running.pid == process.pid
        process.communicate()
    assert home.state_file.exists()
    assert find(home) is None
    with claimed(home):
        assert find(home) is None, "the state of the dead one is not taken for ours"


def test_a_state_file_of_a_process_that_lives_but_is_no_sidecar_deceives_nobody(home: Home) -> None:
    home.open()
    home.state_file.write_text(json.dumps({"pid": os.getppid(), "url": URL, "started": "", "version": ""}))
    assert find(home) is None


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"pid": 1}', b'{"other": 1}'])
def test_a_broken_state_file_counts_as_none(home: Home, broken: bytes) -> None:
    with claimed(home):
        home.state_file.write_bytes(broken)
        assert find(home) is None


def test_waiting_for_the_end_ends_with_it(home: Home) -> None:
    with claimed(home):
        assert not wait_until_stopped(home, 0)
    assert wait_until_stopped(home, 0)


def test_health_of_nobody_is_none() -> None:
    assert health("http://127.0.0.1:9") is None


def test_a_lock_is_free_again_once_released(tmp_path: Path) -> None:
    lock, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert lock.acquire()
    assert not other.acquire(attempts=1)
    assert is_held(tmp_path / "lock")
    lock.release()
    assert other.acquire(attempts=1)
    other.release()
    assert not is_held(tmp_path / "lock")
