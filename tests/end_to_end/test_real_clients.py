"""Real editors and agents, configured by nothing but `cgw connect` or `cgw run`, ask Claude through a sidecar.

They are found on PATH, or in the folder that CGW_CLIENTS_BIN names:

    npm install --prefix clients @anthropic-ai/claude-code @continuedev/cli opencode-ai cline @openai/codex
    python -m venv clients/py && clients/py/bin/pip install aider-chat llm
    mkdir clients/bin && ln -s "$PWD"/clients/node_modules/.bin/* "$PWD"/clients/py/bin/{aider,llm} clients/bin
    CGW_CLIENTS_BIN=$PWD/clients/bin pytest tests/end_to_end/test_real_clients.py

A client that is not there is skipped, and the reason says how it is installed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.commands.running import announce, claimed
from sidecar.simulator.answers import Answer, ToolCall
from sidecar.simulator.ledger import Row
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs of Unix")

ROOT = Path(__file__).parents[2]
WORD = "pelican"
ANSWER = Answer(f"The word is {WORD}.")
GIVE_UP_SECONDS = 180
BEFORE, AFTER = "print('hello')\n", "print('goodbye')\n"


@dataclass(frozen=True)
class Client:
    """How one program is asked a question without a window."""

    program: str
    tool: str
    """As `cgw connect` calls it; for `openai` it only knows variables."""
    arguments: tuple[str, ...]
    package: str
    edit: ToolCall | str | None = None
    """How Claude edits a file in it."""
    edit_arguments: tuple[str, ...] = ()
    """What lets it edit without asking."""


AIDER = (
    *("--yes-always", "--no-git", "--no-pretty", "--no-check-update", "--no-show-model-warnings"),
    *("--no-show-release-notes", "--no-analytics", "--message"),
)
SEARCH_REPLACE = f"greet.py\n```python\n<<<<<<< SEARCH\n{BEFORE}=======\n{AFTER}>>>>>>> REPLACE\n```\n"
REPLACEMENT = {"filePath": "greet.py", "oldString": BEFORE.strip(), "newString": AFTER.strip()}

CLIENTS = (
    Client(
        "claude",
        "claude-code",
        ("-p",),
        "npm: @anthropic-ai/claude-code",
        ToolCall("Write", {"file_path": "greet.py", "content": AFTER}),
        ("--permission-mode", "acceptEdits"),
    ),
    Client("aider", "aider", AIDER, "pip: aider-chat", SEARCH_REPLACE, ("--file", "greet.py")),
    Client(
        "opencode",
        "opencode",
        ("run", "-m", "anthropic/claude-sonnet-4-5"),
        "npm: opencode-ai",
        ToolCall("edit", REPLACEMENT),
    ),
    Client(
        "codex",
        "codex",
        ("exec", "--skip-git-repo-check"),
        "npm: @openai/codex",
        ToolCall("exec_command", {"cmd": f"printf %s {shlex.quote(AFTER)} > greet.py"}),
        ("--dangerously-bypass-approvals-and-sandbox",),
    ),
    Client("kilo", "kilo", ("run", "-m", "anthropic/claude-sonnet-4-5"), "npm: @kilocode/cli"),
    Client("cline", "cline", (), "npm: cline"),
    Client("cn", "continue", ("-p",), "npm: @continuedev/cli"),
    Client("llm", "openai", ("-m", "gpt-4o-mini"), "pip: llm"),
)
CONNECTED = [client for client in CLIENTS if client.tool != "openai"]
READING_VARIABLES = [client for client in CLIENTS if client.tool not in ("continue", "cline", "codex")]
EDITING = [client for client in CLIENTS if client.edit]


@dataclass
class Desk:
    """A user with a home and a project of their own, in front of a sidecar that runs."""

    sidecar: RunningSidecar
    home: Path
    project: Path
    path: str

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        ours = {"HOME": str(self.home), "CGW_HOME": str(self.sidecar.home.path), "PATH": self.path}
        return kept | ours | {"TERM": "dumb", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}

    def connect(self, tool: str, *flags: str) -> Any:
        clean: dict[str, str | None] = dict.fromkeys(os.environ)
        ran = CliRunner().invoke(app, ["connect", tool, "--json", *flags], env=clean | self.environ)
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    def run(self, command: list[str], **environ: str) -> str:
        """What it printed. Only what is on this machine can be reached, so that nothing waits for a name."""
        ran = subprocess.run(
            command,
            cwd=self.project,
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIVE_UP_SECONDS,
        )
        assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
        return ran.stdout


@pytest.fixture
def claude(running_simulator: RunningSimulator) -> Simulator:
    """Whatever fields it is sent: Claude Code asks for betas that are not in the SDK's types."""
    simulator = running_simulator.simulator
    simulator.scripted.clear()
    simulator.ledger.clear()
    return simulator


@pytest.fixture
def desk(tmp_path: Path, gateway: RunningSidecar, claude: Simulator) -> Iterator[Desk]:
    for name in ("user", "project"):
        (tmp_path / name).mkdir()
    folders = [os.environ.get("CGW_CLIENTS_BIN", ""), os.environ.get("PATH", "")]
    path = os.pathsep.join(folder for folder in folders if folder)
    gateway.home.gateway_key_file.write_text(gateway.key)
    gateway.home.gateway_key_file.chmod(0o600)
    with claimed(gateway.home):
        announce(gateway.home, gateway.url)
        yield Desk(gateway, tmp_path / "user", tmp_path / "project", path)


def installed(client: Client, desk: Desk) -> str:
    found = shutil.which(client.program, path=desk.path)
    if found is None:
        pytest.skip(f"{client.program} is not installed ({client.package}): put it on PATH or into CGW_CLIENTS_BIN")
    return found


def answered(claude: Simulator) -> list[Row]:
    return [row for row in claude.ledger.messages if row.status == 200]


@pytest.mark.parametrize("client", CONNECTED, ids=lambda client: client.program)
def test_a_client_that_was_connected_asks_claude_through_cgw(client: Client, desk: Desk, claude: Simulator) -> None:
    program = installed(client, desk)
    told = desk.connect(client.tool, "--write")
    assert told["changed"]
    claude.scripted.when(lambda _: True, ANSWER)
    said = desk.run([program, *client.arguments, "Say the word."])
    assert WORD in said
    assert answered(claude)
    assert desk.connect(client.tool, "--undo")["undone"]
    left = Path(told["file"])  # some tools write into it themselves
    assert not left.exists() or desk.sidecar.url not in left.read_text()


@pytest.mark.parametrize("client", READING_VARIABLES, ids=lambda client: client.program)
def test_a_client_that_cgw_runs_asks_claude_through_it(client: Client, desk: Desk, claude: Simulator) -> None:
    installed(client, desk)
    claude.scripted.when(lambda _: True, ANSWER)
    command = [sys.executable, "-m", "sidecar", "run", "--", client.program, *client.arguments, "Say the word."]
    assert WORD in desk.run(command, ANTHROPIC_API_KEY="sk-ant-of-the-users-own", OPENAI_API_KEY="sk-of-the-users-own")
    assert answered(claude)


@pytest.mark.parametrize("client", EDITING, ids=lambda client: client.program)
def test_what_claude_edits_is_in_the_file(client: Client, desk: Desk, claude: Simulator) -> None:
    program = installed(client, desk)
    desk.connect(client.tool, "--write")
    file = desk.project / "greet.py"
    file.write_text(BEFORE)
    if isinstance(client.edit, str):
        claude.scripted.when(lambda _: True, Answer(client.edit))
    else:
        assert client.edit is not None
        call = ToolCall(client.edit.name, {**client.edit.input, **_whole_path(client.edit, file)})
        reads = _reading(client, file)
        claude.scripted.when(
            lambda request: _offers(request, call.name) and not _has_results(request, 1), Answer(reads)
        )
        claude.scripted.when(lambda request: _offers(request, call.name) and not _has_results(request, 2), Answer(call))
        claude.scripted.when(lambda _: True, Answer("Done."))
    desk.run([program, *client.edit_arguments, *client.arguments, "Say goodbye instead."])
    assert file.read_text() == AFTER


def _reading(client: Client, file: Path) -> ToolCall:
    """What an agent does first; some want a file to be read before it is edited."""
    if client.program == "codex":
        return ToolCall("exec_command", {"cmd": f"cat {shlex.quote(str(file))}"})
    name, key = ("Read", "file_path") if client.program == "claude" else ("read", "filePath")
    return ToolCall(name, {key: str(file)})


def _whole_path(call: ToolCall, file: Path) -> dict[str, str]:
    return {key: str(file) for key in ("file_path", "filePath") if key in call.input}


def _offers(request: Any, tool: str) -> bool:
    return any(offered.get("name") == tool for offered in request.get("tools") or ())


def _has_results(request: Any, count: int) -> bool:
    blocks = [
        block for message in request["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    return sum(block.get("type") == "tool_result" for block in blocks) >= count
