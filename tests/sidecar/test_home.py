from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.home import Home, HomeError, replace_privately

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_cgw_home_names_the_folder(tmp_path: Path) -> None:
    assert Home.locate({"CGW_HOME": str(tmp_path / "mine")}).path == tmp_path / "mine"


def test_a_relative_cgw_home_stays_the_same_folder_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home.locate({"CGW_HOME": "mine"}).path == tmp_path / "mine"


def test_without_cgw_home_it_is_the_users_data_folder() -> None:
    assert Home.locate({}).path == Home.locate({"CGW_HOME": ""}).path
    assert Home.locate({}).path.name == "cgw"


def test_naming_the_folder_creates_nothing(tmp_path: Path) -> None:
    Home(tmp_path / "home")
    assert not (tmp_path / "home").exists()


@posix_only
def test_only_the_user_may_enter_the_folder(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.open()
    assert [mode(path) for path in (home.path, home.log_file.parent, home.cache_dir)] == [0o700] * 3


@posix_only
def test_a_folder_that_others_may_enter_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Home(tmp_path).open()
    assert mode(tmp_path) == 0o700


def test_a_folder_that_cannot_be_made_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match=r"cannot use .*make it writable, or set CGW_HOME"):
        Home(tmp_path / "file" / "home").open()


def test_the_gateway_key_is_made_once_and_read_ever_after(tmp_path: Path) -> None:
    key = Home(tmp_path / "home").gateway_key()
    assert key.startswith("cgw-")
    assert len(key) > 40
    assert Home(tmp_path / "home").gateway_key() == key


def test_two_homes_have_different_keys(tmp_path: Path) -> None:
    assert Home(tmp_path / "a").gateway_key() != Home(tmp_path / "b").gateway_key()


@posix_only
def test_only_the_user_may_read_the_key_and_a_wider_file_is_tightened(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.gateway_key()
    assert mode(home.gateway_key_file) == 0o600
    home.gateway_key_file.chmod(0o644)
    home.gateway_key()
    assert mode(home.gateway_key_file) == 0o600


def test_making_a_key_leaves_no_other_file_behind(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.gateway_key()
    assert sorted(path.name for path in home.path.iterdir()) == ["cache", "gateway_key", "logs"]


def test_an_empty_key_file_is_told_and_not_taken_for_a_key(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.gateway_key_file.write_text("\n")
    with pytest.raises(HomeError, match="delete it and cgw makes a new one"):
        home.gateway_key()


def test_processes_that_start_at_the_same_time_agree_on_the_key(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from sidecar.home import Home; sys.stdin.read(); "
    script += "print(Home(Path(sys.argv[1])).gateway_key())"
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "home")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in starting:
        assert process.stdin is not None
        process.stdin.close()
    keys = set()
    for process in starting:
        assert process.stdout is not None
        with process.stdout:
            keys.add(process.stdout.read().strip())
        assert process.wait() == 0
    assert len(keys) == 1
    assert keys.pop().startswith("cgw-")


@posix_only
def test_a_replaced_file_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state"
    replace_privately(path, b"one")
    replace_privately(path, b"two")
    assert path.read_bytes() == b"two"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]
