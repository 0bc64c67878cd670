"""What is known of each tool, row by row."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Match

from sidecar.connect.address import Address, Key
from sidecar.connect.edits import Put, example
from sidecar.connect.machine import Machine
from sidecar.connect.tool import Plan, Tool
from sidecar.connect.tools import TOOLS, UnknownToolError, tool_named
from sidecar.intake import ListenerLimits
from sidecar.listener import Listener

URL = "http://127.0.0.1:4343"
IN_FILE = Key("cgw-secret", file=Path("/home/it's me/cgw/gateway_key"))
IN_VARIABLE = Key("of my own", variable="GATEWAY_API_KEY")
NOWHERE = Key("of my own")
KEYS = {"in a file": IN_FILE, "in a variable": IN_VARIABLE, "nowhere else": NOWHERE}

each_tool = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)


def plan_of(tool: Tool | str, key: Key = IN_FILE, *, platform: str = "linux", **environ: str) -> Plan:
    row = tool_named(tool) if isinstance(tool, str) else tool
    return row.plan(Address(URL, key), Machine(Path("/home/me"), platform, {"PATH": "", **environ}))


def put_in(plan: Plan) -> str:
    return example(plan.language, plan.edits)


@each_tool
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_each_tool_has_settings_or_steps(tool: Tool, key: Key, platform: str) -> None:
    plan = plan_of(tool, key, platform=platform)
    assert plan.road
    assert plan.edits or plan.steps
    assert (plan.file is None) == (not plan.edits)
    if plan.file is None:
        assert not plan.has_key
    else:
        assert URL in put_in(plan)
        assert plan.has_key == (key.value in put_in(plan))


@each_tool
def test_the_key_itself_stands_only_where_the_tool_looks_nowhere_else(tool: Tool) -> None:
    assert plan_of(tool).has_key == (tool.name in {"aider", "cline", "continue", "copilot"})


@each_tool
def test_no_sentence_tells_the_key(tool: Tool) -> None:
    plan = plan_of(tool)
    said = " ".join((plan.road, *plan.steps, *plan.notes, plan.cannot or ""))
    assert "cgw-secret" not in said


def test_names_are_unlike_and_forgiving() -> None:
    names = [name for tool in TOOLS for name in (tool.name, *tool.other_names)]
    assert len(names) == len(set(names))
    assert tool_named("Claude Code").name == "claude-code"
    assert tool_named("VS_Code").name == "copilot"
    with pytest.raises(UnknownToolError, match="Did you mean aider"):
        tool_named("aidr")
    with pytest.raises(UnknownToolError, match="It knows claude-code, opencode"):
        tool_named("zzz")


def test_a_command_that_prints_the_key_is_quoted_for_its_shell() -> None:
    settings = plan_of("claude-code").language.read(put_in(plan_of("claude-code")))
    assert isinstance(settings, dict)
    assert settings["apiKeyHelper"] == "cat '/home/it'\"'\"'s me/cgw/gateway_key'"


def test_the_key_is_found_by_the_command_as_claude_code_runs_it(tmp_path: Path) -> None:
    file = tmp_path / "it's here" / "gateway_key"
    file.parent.mkdir()
    file.write_text("cgw-secret")
    plan = plan_of("claude-code", Key("cgw-secret", file=file))
    [line] = [edit.value for edit in plan.edits if isinstance(edit, Put) and edit.path == ("apiKeyHelper",)]
    assert isinstance(line, str)
    assert subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout == "cgw-secret"


@pytest.mark.parametrize(
    ("tool", "variable", "file"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "settings.json"),
        ("codex", "CODEX_HOME", "config.toml"),
        ("continue", "CONTINUE_GLOBAL_DIR", "config.yaml"),
    ],
)
def test_a_folder_that_the_user_named_counts(tool: str, variable: str, file: str) -> None:
    assert plan_of(tool, **{variable: "/elsewhere"}).file == Path("/elsewhere") / file


@pytest.mark.parametrize(
    ("tool", "platform", "file"),
    [
        ("zed", "darwin", "/home/me/.config/zed/settings.json"),
        ("zed", "win32", "/home/me/AppData/Roaming/Zed/settings.json"),
        ("copilot", "darwin", "/home/me/Library/Application Support/Code/User/chatLanguageModels.json"),
        ("copilot", "linux", "/home/me/.config/Code/User/chatLanguageModels.json"),
        ("opencode", "linux", "/home/me/.config/opencode/opencode.json"),
    ],
)
def test_each_system_has_its_places(tool: str, platform: str, file: str) -> None:
    assert plan_of(tool, platform=platform).file == Path(file)


def test_of_several_files_the_one_that_is_there_is_taken(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "linux", {})
    for name in ("opencode.json", "opencode.jsonc"):
        file = tmp_path / ".config" / "opencode" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
        assert tool_named("opencode").plan(Address(URL, IN_FILE), machine).file == file


def test_continues_older_file_is_used_where_only_that_is_there(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "linux", {})
    (tmp_path / ".continue").mkdir()
    (tmp_path / ".continue" / "config.json").write_text("{}")
    plan = tool_named("continue").plan(Address(URL, IN_FILE), machine)
    assert plan.file == tmp_path / ".continue" / "config.json"
    (tmp_path / ".continue" / "config.yaml").write_text("name: x\n")
    assert tool_named("continue").plan(Address(URL, IN_FILE), machine).file == tmp_path / ".continue" / "config.yaml"


def test_a_tool_is_seen_by_its_program_its_extension_or_its_folder(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "user", "linux", {"PATH": str(tmp_path / "bin")})
    tool = tool_named("continue")
    assert tool.signs.seen(machine) is None
    (tmp_path / "user" / ".continue").mkdir(parents=True)
    assert tool.signs.seen(machine) == tmp_path / "user" / ".continue"
    extension = tmp_path / "user" / ".vscode" / "extensions" / "continue.continue-1.3.38-linux-x64"
    extension.mkdir(parents=True)
    assert tool.signs.seen(machine) == extension
    program = tmp_path / "bin" / "cn"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    assert tool.signs.seen(machine) == program


def test_every_route_that_a_tool_is_led_to_is_served() -> None:
    nobody: Any = None
    app = Listener(nobody, nobody, nobody, limits=ListenerLimits(), responses=nobody, health=dict).app()
    deployment = "/openai/deployments/sonnet/chat/completions"
    for path in ("/v1/messages", "/v1/chat/completions", "/v1/responses", deployment):
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        assert any(known.matches(scope)[0] is Match.FULL for known in app.routes), path
