"""Connecting a tool and taking it back leaves every file as it was, byte for byte."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.connect import actions
from sidecar.connect.actions import NotWritableError, State
from sidecar.connect.address import Address, Key
from sidecar.connect.backups import Backups
from sidecar.connect.document import MISSING, found
from sidecar.connect.edits import Frame, Put
from sidecar.connect.machine import Machine
from sidecar.connect.settings_file import SettingsFileError
from sidecar.connect.tool import JSONC, Plan, Tool
from sidecar.connect.tools import TOOLS
from sidecar.home import Home, HomeError

URL = "http://127.0.0.1:4343"
POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions of Unix")

JSON_SAMPLES = {
    "empty": b"",
    "blank": b"\n\n",
    "braces": b"{}",
    "comments, tabs, a comma too many": b'// mine\n{\n\t/* a */ "theme": "dark", // b\n\t"vim": true,\n}\n',
    "of Windows": b'{\r\n    "theme": "dark"\r\n}\r\n',
    "without an end": b'{\n  "theme": "dark"\n}',
    "a mark at the start": b'\xef\xbb\xbf{"theme": "dark"}\n',
    "on one line": '{"theme":"d\u00e4rk","x":[1,2,{"y":null}]}'.encode(),
    "another provider": b"""{
  // my own
  "apiKeyHelper": "pass show key",
  "env": {"ANTHROPIC_BASE_URL": "https://other.example", "ANTHROPIC_API_KEY": "sk-ant-real", "DEBUG": "1"},
  "provider": {
    "anthropic": {"options": {"baseURL": "https://other.example/v1", /* key */ "apiKey": "sk-ant-real",},},
    "other": {},
  },
  "language_models": {"anthropic": {"version": "1", "api_url": "https://other.example"}}
}
""",
}
CLINE_SAMPLES = {
    "another provider of Cline's": b"""{
  "version": 1,
  "lastUsedProvider": "openai",
  "modes": {},
  "providers": {
    "openai": {"settings": {"provider": "openai"}, "updatedAt": "2026-11-23T09:22:31.106Z", "tokenSource": "manual"},
    "anthropic": {"settings": {"provider": "anthropic", "apiKey": "sk-ant-real"}, "tokenSource": "manual"}
  }
}
""",
}
LIST_SAMPLES = {
    "empty": b"",
    "brackets": b"[]",
    "another group": b'[\n\t{ // mine\n\t\t"name": "mine",\n\t\t"vendor": "customendpoint",\n\t},\n]\n',
    "of Windows": b'[\r\n  {"name": "mine"}\r\n]',
    "ours, changed": b'[{"name": "cgw", "vendor": "customendpoint", "apiKey": "old"}]\n',
}
YAML_SAMPLES = {
    "empty": b"",
    "a comment": b"# mine\n",
    "of Windows": b"# mine\r\ndark-mode: true\r\nmodel: gpt-4o # the old one\r\n",
    "without an end": b"dark-mode: true",
    "a mark at the start": b"\xef\xbb\xbfdark-mode: true\n",
    "another provider": b"""name: Mine   # spaces
version: 0.0.1
models:
  # the local one
  - name: Local
    provider: ollama
    roles: [chat,  edit]

  - name: "GPT"
    provider: openai
    apiKey: ${{ secrets.OPENAI }}
    requestOptions:
      headers:
        X: |
          text
# the end
rules:
- uses: some/rule
openai-api-base: https://other.example/v1
openai-api-key: 'sk-real'
model:   openai/gpt-4o
""",
}
TOML_SAMPLES = {
    "empty": b"",
    "a comment": b"# mine\n",
    "of Windows": b'# mine\r\nmodel = "gpt-5" # old\r\n\r\n[tools]\r\nweb_search = true\r\n',
    "another provider": b"""model = "gpt-5"   # mine
model_provider = 'azure'

[model_providers.azure]
name = "Azure"
query_params = { api-version = "1" }

[projects."/home/me"]
trust_level = "trusted"
""",
}
SAMPLES = {
    "claude-code": JSON_SAMPLES,
    "opencode": JSON_SAMPLES,
    "kilo": JSON_SAMPLES,
    "cline": JSON_SAMPLES | CLINE_SAMPLES,
    "zed": JSON_SAMPLES,
    "copilot": LIST_SAMPLES,
    "continue": YAML_SAMPLES,
    "aider": YAML_SAMPLES,
    "codex": TOML_SAMPLES,
}
CASES = [(name, label, raw) for name, samples in SAMPLES.items() for label, raw in samples.items()]
BY_NAME = {tool.name: tool for tool in TOOLS}

each_case = pytest.mark.parametrize(
    ("name", "raw"), [(name, raw) for name, _, raw in CASES], ids=[f"{a}-{b}" for a, b, _ in CASES]
)
each_tool = pytest.mark.parametrize("name", SAMPLES)


class Desk:
    """A user's home with one sidecar."""

    def __init__(self, folder: Path) -> None:
        self.machine = Machine(folder / "user", "linux", {"PATH": ""})
        self.machine.home.mkdir(parents=True, exist_ok=True)
        self.home = Home(folder / "cgw")
        self.backups = Backups(self.home)

    def plan(self, tool: Tool, url: str = URL) -> Plan:
        key = Key("cgw-secret", file=self.home.gateway_key_file)
        return tool.plan(Address(url, key), self.machine)

    def file(self, tool: Tool) -> Path:
        file = self.plan(tool).file
        assert file is not None
        return file


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def filled(desk: Desk, tool: Tool, raw: bytes) -> Path:
    file = desk.file(tool)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(raw)
    return file


@each_case
def test_what_is_written_leads_here_and_undoing_it_leaves_the_file_as_it_was(desk: Desk, name: str, raw: bytes) -> None:
    tool = BY_NAME[name]
    file = filled(desk, tool, raw)
    plan = desk.plan(tool)
    assert actions.state_of(plan, URL) in (State.NOT_SET, State.ELSEWHERE)
    assert actions.write(name, plan, desk.backups)
    assert actions.state_of(plan, URL) is State.HERE
    document = plan.language.read(file.read_text(encoding="utf-8-sig"))
    assert all(found(document, edit.path) == edit.value for edit in plan.edits if isinstance(edit, Put))
    assert file.read_bytes() != raw
    done = actions.undo(name, desk.backups)
    assert done is not None
    assert done.exactly
    assert file.read_bytes() == raw
    assert actions.undo(name, desk.backups) is None


@each_tool
def test_a_file_that_was_not_there_is_gone_again_with_its_folders(desk: Desk, name: str) -> None:
    tool = BY_NAME[name]
    assert actions.write(name, desk.plan(tool), desk.backups)
    assert desk.file(tool).exists()
    done = actions.undo(name, desk.backups)
    assert done is not None
    assert done.exactly
    assert list(desk.machine.home.iterdir()) == []


@each_case
def test_a_second_time_changes_nothing(desk: Desk, name: str, raw: bytes) -> None:
    tool = BY_NAME[name]
    file = filled(desk, tool, raw)
    actions.write(name, desk.plan(tool), desk.backups)
    written = file.read_bytes()
    assert not actions.write(name, desk.plan(tool), desk.backups)
    assert file.read_bytes() == written
    actions.undo(name, desk.backups)
    assert file.read_bytes() == raw


@each_case
def test_another_port_is_written_over_the_first_and_undone_with_it(desk: Desk, name: str, raw: bytes) -> None:
    tool = BY_NAME[name]
    file = filled(desk, tool, raw)
    actions.write(name, desk.plan(tool), desk.backups)
    other = "http://127.0.0.1:5000"
    assert actions.state_of(desk.plan(tool, other), other) is State.ELSEWHERE
    assert actions.write(name, desk.plan(tool, other), desk.backups)
    assert b"4343" not in file.read_bytes()
    actions.undo(name, desk.backups)
    assert file.read_bytes() == raw


@each_case
def test_what_the_user_changed_since_stays_and_ours_goes(desk: Desk, name: str, raw: bytes) -> None:
    tool = BY_NAME[name]
    file = filled(desk, tool, raw)
    plan = desk.plan(tool)
    before = plan.language.read(file.read_text(encoding="utf-8-sig"))
    actions.write(name, plan, desk.backups)
    theirs = {"json": "// theirs\n", "yaml": "# theirs\n", "yml": "# theirs\n", "toml": "# theirs\n"}
    comment = theirs[file.suffix[1:]].encode()
    mark = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    file.write_bytes(mark + comment + file.read_bytes().removeprefix(mark))
    done = actions.undo(name, desk.backups)
    assert done is not None
    assert not done.exactly
    assert done.left == ()
    after = plan.language.read(file.read_text(encoding="utf-8-sig"))
    frame = {edit.path[0]: edit.value for edit in plan.edits if isinstance(edit, Frame)}
    expected = before if isinstance(before, list) else frame | (before if isinstance(before, dict) else {})
    assert (after or None) == (expected or None) or after is MISSING
    assert comment in file.read_bytes()
    assert b"127.0.0.1" not in file.read_bytes()


@given(
    st.sampled_from(sorted(JSON_SAMPLES)),
    st.dictionaries(st.sampled_from(["env", "a", "b"]), st.none() | st.text(max_size=3)),
)
def test_no_sample_of_anything_is_lost(
    tmp_path_factory: pytest.TempPathFactory, label: str, more: dict[str, str]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    tool = BY_NAME["zed"]
    raw = JSON_SAMPLES[label] if label != "braces" else json.dumps(more, indent=1).encode()
    file = filled(desk, tool, raw)
    actions.write("zed", desk.plan(tool), desk.backups)
    actions.undo("zed", desk.backups)
    assert file.read_bytes() == raw


def test_a_value_that_the_user_gave_another_one_stays_and_is_told_of(desk: Desk) -> None:
    tool = BY_NAME["zed"]
    file = filled(desk, tool, b'{"vim": true}')
    actions.write("zed", desk.plan(tool), desk.backups)
    file.write_bytes(file.read_bytes().replace(URL.encode(), b"https://mine.example"))
    done = actions.undo("zed", desk.backups)
    assert done is not None
    assert done.left == ("language_models.anthropic.api_url",)
    assert b"https://mine.example" in file.read_bytes()


def test_what_a_tool_writes_into_its_entry_goes_with_it(desk: Desk) -> None:
    raw = CLINE_SAMPLES["another provider of Cline's"]
    for before in (raw, b""):
        file = filled(desk, BY_NAME["cline"], before)
        actions.write("cline", desk.plan(BY_NAME["cline"]), desk.backups)
        text = file.read_text().replace('"tokenSource": "manual"', '"tokenSource": "manual", "updatedAt": "later"')
        file.write_text(text)
        assert not actions.write("cline", desk.plan(BY_NAME["cline"]), desk.backups)
        done = actions.undo("cline", desk.backups)
        assert done is not None
        assert done.left == ()
        after = JSONC.read(file.read_text())
        assert isinstance(after, dict)
        assert after.get("version") == 1
        if before:
            was = JSONC.read(before.decode())
            assert found(after, ("providers", "anthropic")) == found(was, ("providers", "anthropic"))
            assert after["lastUsedProvider"] == "openai"
        else:
            assert set(after) == {"version", "modes"}


def test_changes_of_the_users_between_two_writes_are_not_undone(desk: Desk) -> None:
    tool = BY_NAME["claude-code"]
    file = filled(desk, tool, b'{"model": "opus"}')
    actions.write("claude-code", desk.plan(tool), desk.backups)
    file.write_bytes(file.read_bytes().replace(b"opus", b"haiku"))
    actions.write("claude-code", desk.plan(tool, "http://127.0.0.1:5000"), desk.backups)
    actions.undo("claude-code", desk.backups)
    assert JSONC.read(file.read_text()) == {"model": "haiku"}


@POSIX
@pytest.mark.parametrize("mode", [0o644, 0o600, 0o664])
def test_permissions_stay_unless_a_key_comes_into_the_file(desk: Desk, mode: int) -> None:
    for name, has_key in (("zed", False), ("aider", True)):
        file = filled(desk, BY_NAME[name], b"")
        file.chmod(mode)
        actions.write(name, desk.plan(BY_NAME[name]), desk.backups)
        assert stat.S_IMODE(file.stat().st_mode) == (0o600 if has_key else mode)
        actions.undo(name, desk.backups)
        assert stat.S_IMODE(file.stat().st_mode) == mode


def test_a_file_that_is_read_only_is_left_alone(desk: Desk) -> None:
    """A rename could replace it; but it says that it is made somewhere else."""
    file = filled(desk, BY_NAME["zed"], b"{}")
    file.chmod(0o444)
    with pytest.raises(SettingsFileError, match="read-only"):
        actions.write("zed", desk.plan(BY_NAME["zed"]), desk.backups)
    assert file.read_bytes() == b"{}"
    assert actions.undo("zed", desk.backups) is None
    file.chmod(0o644)
    actions.write("zed", desk.plan(BY_NAME["zed"]), desk.backups)
    file.chmod(0o444)
    with pytest.raises(SettingsFileError, match="read-only"):
        actions.undo("zed", desk.backups)
    file.chmod(0o644)
    done = actions.undo("zed", desk.backups)
    assert done is not None
    assert file.read_bytes() == b"{}"


@POSIX
def test_everything_that_cgw_makes_is_its_users_alone(desk: Desk) -> None:
    actions.write("aider", desk.plan(BY_NAME["aider"]), desk.backups)
    made = [desk.file(BY_NAME["aider"]), *(desk.home.path / "connect").iterdir()]
    assert len(made) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


@POSIX
def test_a_symbolic_link_stays_one(desk: Desk, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "settings.json"
    real.parent.mkdir()
    real.write_bytes(b"{}")
    link = desk.file(BY_NAME["zed"])
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    actions.write("zed", desk.plan(BY_NAME["zed"]), desk.backups)
    assert link.is_symlink()
    assert URL.encode() in real.read_bytes()
    actions.undo("zed", desk.backups)
    assert (link.is_symlink(), real.read_bytes()) == (True, b"{}")


def test_a_file_that_cannot_be_read_is_left_alone(desk: Desk) -> None:
    for raw in (b"{broken", b"\xff\xfe{\x00}\x00", b'{"language_models": 3}'):
        file = filled(desk, BY_NAME["zed"], raw)
        with pytest.raises(SettingsFileError, match=r"settings\.json"):
            actions.write("zed", desk.plan(BY_NAME["zed"]), desk.backups)
        assert file.read_bytes() == raw
        assert list(file.parent.iterdir()) == [file]
    assert actions.undo("zed", desk.backups) is None
    assert actions.state_of(desk.plan(BY_NAME["zed"]), URL) is State.NOT_SET


def test_a_tool_that_cannot_work_is_not_written_to(desk: Desk) -> None:
    plan = BY_NAME["cursor"].plan(Address(URL, Key("k")), desk.machine)
    with pytest.raises(NotWritableError, match="localhost can never work"):
        actions.write("cursor", plan, desk.backups)
    with pytest.raises(NotWritableError, match="steps"):
        actions.write("roo", BY_NAME["roo"].plan(Address(URL, Key("k")), desk.machine), desk.backups)


def test_a_file_that_is_gone_needs_no_undoing(desk: Desk) -> None:
    actions.write("zed", desk.plan(BY_NAME["zed"]), desk.backups)
    desk.file(BY_NAME["zed"]).unlink()
    done = actions.undo("zed", desk.backups)
    assert done is not None
    assert not desk.file(BY_NAME["zed"]).exists()


def test_two_files_of_one_tool_are_not_mixed_up(desk: Desk) -> None:
    folder = desk.machine.home / ".continue"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    actions.write("continue", desk.plan(BY_NAME["continue"]), desk.backups)
    (folder / "config.yaml").write_text("name: new\n")
    with pytest.raises(NotWritableError, match="--undo first"):
        actions.write("continue", desk.plan(BY_NAME["continue"]), desk.backups)
    actions.undo("continue", desk.backups)
    assert (folder / "config.json").read_text() == "{}"


def test_a_record_that_was_damaged_is_told_of(desk: Desk) -> None:
    actions.write("zed", desk.plan(BY_NAME["zed"]), desk.backups)
    (desk.home.path / "connect" / "zed.json").write_text("{")
    with pytest.raises(HomeError, match="undo by hand"):
        actions.undo("zed", desk.backups)


@pytest.mark.parametrize(
    ("there", "state"),
    [
        ("http://localhost:4343/v1", State.HERE),
        ("http://[::1]:4343", State.HERE),
        ("http://127.0.0.1:4344", State.ELSEWHERE),
        ("https://api.example:4343", State.ELSEWHERE),
        ("not a url", State.ELSEWHERE),
        ("http://[bad", State.ELSEWHERE),
    ],
)
def test_this_machine_is_known_by_all_its_names(desk: Desk, there: str, state: State) -> None:
    filled(desk, BY_NAME["zed"], json.dumps({"language_models": {"anthropic": {"api_url": there}}}).encode())
    assert actions.state_of(desk.plan(BY_NAME["zed"]), URL) is state


def test_what_a_user_wrote_in_a_place_of_its_own_counts(desk: Desk) -> None:
    filled(desk, BY_NAME["continue"], b"models:\n  - name: Mine\n    apiBase: http://localhost:4343/v1\n")
    assert actions.state_of(desk.plan(BY_NAME["continue"]), URL) is State.HERE
