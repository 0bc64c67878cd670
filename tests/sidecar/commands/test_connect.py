"""`cgw connect` as its user meets it, in a home of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sidecar.cli import app
from sidecar.commands.running import announce, claimed
from sidecar.connect.tools import TOOLS
from sidecar.home import Home

URL = "http://127.0.0.1:9"


class User:
    """Somebody at a machine with nothing on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "me"
        self.folder.mkdir()
        self.home = Home(folder / "cgw")
        self.environ = {"CGW_HOME": str(self.home.path), "HOME": str(self.folder), "USERPROFILE": str(self.folder)}
        self.environ |= {"NO_COLOR": "1", "PATH": "", "CGW_PORT": "9"}

    def cgw(self, *arguments: str, **environ: str) -> Result:
        clean: dict[str, str | None] = dict.fromkeys(os.environ)
        ran = CliRunner().invoke(app, arguments, env=clean | self.environ | environ)
        assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
        return ran


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    user = User(tmp_path)
    with claimed(user.home):
        announce(user.home, URL)
        yield user


def test_without_a_name_every_tool_is_listed_with_how_it_stands(user: User) -> None:
    (user.folder / ".config" / "zed").mkdir(parents=True)
    user.cgw("connect", "zed", "--write")
    said = user.cgw("connect").stdout
    lines = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert set(lines) > {tool.name for tool in TOOLS}
    assert lines["zed"].split()[2:4] == ["yes", "yes"]
    assert "not found" in lines["aider"]
    assert "needs a tunnel" in lines["cursor"]
    assert user.home.gateway_key() not in said


def test_scripts_get_the_list_as_json(user: User) -> None:
    told = json.loads(user.cgw("connect", "--json").stdout)
    assert told["url"] == URL
    rows = {row["name"]: row for row in told["tools"]}
    assert rows["zed"] == {
        "name": "zed",
        "title": "Zed",
        "installed": None,
        "points_here": "not set",
        "file": str(user.folder / ".config" / "zed" / "settings.json"),
        "cannot": None,
    }
    assert rows["roo"]["points_here"] == "by hand"


def test_settings_are_shown_and_nothing_is_written(user: User) -> None:
    ran = user.cgw("connect", "claude-code")
    assert f'"ANTHROPIC_BASE_URL": "{URL}"' in ran.stdout
    assert str(user.folder / ".claude" / "settings.json") in ran.stdout
    assert "--write` writes it there" in ran.stdout
    assert list(user.folder.iterdir()) == []
    assert not ran.stderr


@pytest.mark.parametrize("tool", [tool.name for tool in TOOLS])
def test_the_key_is_never_on_the_screen(user: User, tool: str) -> None:
    said = [user.cgw("connect", tool, *more) for more in ((), ("--json",), ("--write",), ("--write", "--json"))]
    assert all(user.home.gateway_key() not in ran.output for ran in said)


def test_it_is_written_once_and_taken_back(user: User) -> None:
    file = user.folder / ".aider.conf.yml"
    file.write_text("dark-mode: true # mine\n")
    first = user.cgw("connect", "aider", "--write").stdout
    assert f"Written: {file} (as it was: {user.home.path / 'connect' / 'aider.before'}" in first
    assert "The key itself is in that file" in first
    assert user.home.gateway_key() in file.read_text()
    assert "edit-format: diff" in file.read_text()
    assert "Nothing to change" in user.cgw("connect", "aider", "--write").stdout
    assert "It stands there." in user.cgw("connect", "aider").stdout
    assert "is what it was before" in user.cgw("connect", "aider", "--undo").stdout
    assert file.read_text() == "dark-mode: true # mine\n"
    assert "Nothing to undo" in user.cgw("connect", "aider", "--undo").stdout


def test_a_new_file_is_said_to_be_one_and_goes_again(user: User) -> None:
    assert "(a new file; --undo takes it back)" in user.cgw("connect", "opencode", "--write").stdout
    assert "is gone: there was none before" in user.cgw("connect", "opencode", "--undo").stdout
    assert list(user.folder.iterdir()) == []


def test_undo_says_what_it_could_not_take_back(user: User) -> None:
    file = user.folder / ".aider.conf.yml"
    user.cgw("connect", "aider", "--write")
    file.write_text(file.read_text().replace("edit-format: diff", "edit-format: udiff") + "dark-mode: true\n")
    said = user.cgw("connect", "aider", "--undo").stdout
    assert "was changed since, so only what cgw had put there was taken out" in said
    assert "`edit-format` has another value" in said
    assert file.read_text() == "edit-format: udiff\ndark-mode: true\n"


def test_scripts_are_told_what_was_done(user: User) -> None:
    told = json.loads(user.cgw("connect", "zed", "--write", "--json").stdout)
    assert (told["changed"], told["holds_key"]) == (True, False)
    assert json.loads(user.cgw("connect", "zed", "--write", "--json").stdout)["changed"] is False
    undone = json.loads(user.cgw("connect", "zed", "--undo", "--json").stdout)
    assert (undone["undone"], undone["exactly"], undone["left"]) == (True, True, [])
    assert json.loads(user.cgw("connect", "zed", "--undo", "--json").stdout) == {"name": "zed", "undone": False}


def test_a_tool_without_a_file_has_steps_that_are_numbered(user: User) -> None:
    said = user.cgw("connect", "roo").stdout
    assert "1. Open Roo's settings" in said
    assert f"write {URL} there, without /v1" in said
    ran = user.cgw("connect", "roo", "--write")
    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1)
    assert "follow the steps" in ran.stderr


@pytest.mark.parametrize(("tool", "why"), [("cursor", "localhost can never work")])
def test_what_cannot_work_is_said_and_not_written(user: User, tool: str, why: str) -> None:
    assert why in user.cgw("connect", tool).stdout
    ran = user.cgw("connect", tool, "--write")
    assert ran.exit_code == 1
    assert why in ran.stderr
    assert list(user.folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [("zed", "--write", "--undo"), ("--write",), ("--undo",), ("no-such-tool",)])
def test_wrong_usage_is_one_sentence(user: User, arguments: tuple[str, ...]) -> None:
    ran = user.cgw("connect", *arguments)
    assert (ran.exit_code, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)


def test_a_broken_file_is_told_of_with_its_line(user: User) -> None:
    file = user.folder / ".config" / "zed" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_text('{\n  "a" 1\n}')
    ran = user.cgw("connect", "zed", "--write")
    assert ran.exit_code == 1
    assert "not valid JSON: a colon is missing (line 2)" in ran.stderr
    assert "cannot be read" in user.cgw("connect").stdout


def test_a_port_that_will_be_another_one_is_warned_of(user: User) -> None:
    ran = user.cgw("connect", "zed", "--write", CGW_PORT="4343")
    assert ran.exit_code == 0
    assert "only where cgw listens now" in ran.stderr


def test_without_a_sidecar_the_settings_say_where_it_will_be(tmp_path: Path) -> None:
    user = User(tmp_path)
    ran = user.cgw("connect", "zed", CGW_PORT="4999")
    assert "http://127.0.0.1:4999" in ran.stdout
    assert "No cgw is running" in ran.stderr
