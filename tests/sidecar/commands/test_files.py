"""`cgw files` as its user meets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from sidecar.commands.files import files
from sidecar.file_cache import NAMESPACE, SIZE_LIMIT_BYTES, FileCache
from sidecar.home import Home
from sidecar.store.shelves import Shelves

NOON = 1_795_348_800.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.open()
    return home


@contextmanager
def counting(home: Home) -> Iterator[FileCache]:
    """As a sidecar does that runs."""
    with closing(Shelves(home, None)) as shelves:
        cache = FileCache(shelves(NAMESPACE, SIZE_LIMIT_BYTES))
        cache.load()
        yield cache


def cgw_files(home: Home, *arguments: str) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    app.add_typer(files)
    ran = CliRunner().invoke(
        app, ["files", *arguments], env={"CGW_HOME": str(home.path), "COLUMNS": "100", "NO_COLOR": "1"}
    )
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


def test_a_table_of_the_files_resent_most(home: Home) -> None:
    with counting(home) as cache:
        for _ in range(3):
            cache.seen("web", "src/app.py", b"a", tokens=1500, saved=1400, now=NOON)
        for _ in range(2):
            cache.seen("web", None, b"b", tokens=100, saved=0, now=NOON)
    head, first, second, *_ = cgw_files(home).stdout.splitlines()
    assert head.split() == ["file", "project", "tokens", "times", "resent", "saved", "last"]
    assert first.split()[:6] == ["src/app.py", "web", "1,500", "3", "3,000", "4,200"]
    assert second.split()[:6] == ["(62)", "web", "100", "2", "100", "-"]
    assert "src/app.py" in cgw_files(home, "--limit", "1").stdout
    assert "(62)" not in cgw_files(home, "--limit", "1").stdout


def test_for_scripts_and_while_a_sidecar_runs(home: Home) -> None:
    with closing(Shelves(home, None)) as shelves:
        cache = FileCache(shelf := shelves(NAMESPACE, SIZE_LIMIT_BYTES))
        cache.load()
        for _ in range(2):
            cache.seen("web", "a.py", b"a", tokens=10, saved=9, now=NOON)
        assert shelf.flush()
        [told] = json.loads(cgw_files(home, "--json").stdout)["files"]
        assert (told["path"], told["times"], told["resent_tokens"], told["saved_tokens"]) == ("a.py", 2, 10, 18)
        cache.seen("web", "a.py", b"a", tokens=10, saved=9, now=NOON)
    assert json.loads(cgw_files(home, "--json").stdout)["files"][0]["times"] == 3


def test_nothing_sent_twice_is_said_in_a_sentence(home: Home) -> None:
    assert cgw_files(home).stdout.startswith("No file was sent twice so far. ")


def test_a_path_cannot_steer_the_terminal(home: Home) -> None:
    with counting(home) as cache:
        for _ in range(2):
            cache.seen("web", "a\x1b]0;owned\x07[bold]b", b"a", tokens=1, saved=0, now=NOON)
    assert "a�]0;owned�[bold]b" in cgw_files(home).stdout
