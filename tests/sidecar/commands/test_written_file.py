"""A file is there whole or not at all, whenever Ctrl-C comes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sidecar.commands.written_file import written_whole


def write_and_be_interrupted(path: Path) -> None:
    with written_whole(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt


def test_it_is_its_owners_alone_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with written_whole(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_an_interrupt_at_the_moment_it_is_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, made = tmp_path / "rows.csv", os.open

    def interrupted(*given: Any, **named: Any) -> int:
        os.close(made(*given, **named))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_and_be_interrupted(path)
    monkeypatch.undo()
    assert [*tmp_path.iterdir()] == []


def test_an_interrupt_while_it_is_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_and_be_interrupted(path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("rows.csv", "old")]
