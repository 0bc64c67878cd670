"""The dashboard in a real terminal: tmux starts it, presses keys and reads the screen."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.commands.running import is_claimed
from sidecar.config import Settings, environment_name
from sidecar.home import Home
from sidecar.simulator.server import RunningSimulator

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(
    TMUX is None, reason="tmux is not installed: the dashboard was seen in NO real terminal"
)

GIVE_UP_SECONDS = 180.0
CGW = (sys.executable, "-m", "sidecar")


class Terminal:
    """One terminal of so many columns and lines, which remembers how its command ended."""

    def __init__(self, folder: Path, columns: int, lines: int) -> None:
        self._server = ""
        self._size = (str(columns), str(lines))
        self._ended = folder / "ended"
        self._environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if name not in {*map(environment_name, Settings.model_fields), "COLUMNS", "LINES"}
            },
            "CGW_HOME": str(folder / "home"),
            "CGW_PORT": "0",
        }

    def tmux(self, *arguments: str) -> str:
        assert TMUX is not None
        ran = subprocess.run(
            [TMUX, "-L", self._server, "-f", os.devnull, *arguments],
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.stdout

    def start(self, *command: str, **environ: str) -> None:
        self._server = f"cgw-{uuid.uuid4().hex[:12]}"  # the one before may still be ending
        self._ended.unlink(missing_ok=True)
        given = [f"{name}={value}" for name, value in environ.items()]
        line = f"{shlex.join(['env', *given, *command])}; echo $? > {self._ended}; echo the shell is back; sleep 600"
        columns, lines = self._size
        self.tmux("new-session", "-d", "-x", columns, "-y", lines, "sh", "-c", line)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def wait_for(self, *texts: str) -> str:
        """Until all of them are on the screen, which is given."""
        self.until(lambda: all(text in self.screen() for text in texts), f"{texts}")
        return self.screen()

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"{what} never came; the screen is\n{self.screen()}"
            time.sleep(0.1)

    def exit_code(self) -> int:
        self.until(self._ended.exists, "its end")
        self.until(lambda: self._ended.read_text().strip(), "its end")
        return int(self._ended.read_text())

    def close(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, *getattr(request, "param", (120, 40)))
    yield opened
    opened.close()
    home = Home(tmp_path / "home")
    if home.path.exists() and is_claimed(home):
        subprocess.run([*CGW, "down"], env={**os.environ, "CGW_HOME": str(home.path)}, check=False, capture_output=True)


def test_the_demo_shows_money_requests_details_and_help_and_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.start(*CGW, "demo")
    terminal.wait_for("Saved today", "Tokens", "prompt cache", "sonnet", "spent of", "upstream")
    terminal.press("2")
    terminal.wait_for("Cost", "hit", "sonnet")
    terminal.press("Up", "Enter")
    terminal.wait_for("1 Why", "8 Headers", "was asked for")
    terminal.press("3")
    terminal.wait_for("without cgw")
    terminal.press("Escape")
    terminal.wait_for("filter:")
    terminal.press("?")
    terminal.wait_for("Keys here", "Follow")  # the rest is further down
    terminal.press("Escape")  # what follows it too soon would be taken for one key with it
    terminal.until(lambda: "Keys here" not in terminal.screen(), "the end of the help")
    terminal.press("/")
    terminal.tmux("send-keys", "-l", "~m nothing")
    terminal.wait_for("0 of ")
    terminal.press("Escape")
    terminal.until(lambda: "0 of " not in terminal.screen(), "every request")
    terminal.press("t")
    terminal.wait_for("light")
    terminal.press("q")
    assert terminal.exit_code() == 0
    terminal.wait_for("the shell is back")


@pytest.mark.parametrize("terminal", [(80, 24)], indirect=True)
def test_a_small_terminal_and_ctrl_c(terminal: Terminal) -> None:
    """Ctrl-C in a Textual app tells how to quit; nothing is lost by it."""
    terminal.start(*CGW, "demo", TERM="xterm")
    terminal.wait_for("Saved today", "Saved this month")
    terminal.press("C-c")
    terminal.wait_for("quit")
    terminal.press("q")
    assert terminal.exit_code() == 0


def test_a_sidecar_that_is_left_goes_on_and_one_whose_terminal_dies_ends(terminal: Terminal, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with RunningSimulator() as claude:
        given = {"ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": claude.api_key}
        terminal.start(*CGW, "up", **given)
        terminal.wait_for("export ANTHROPIC_BASE_URL=", "connect a tool")
        terminal.press("q")
        terminal.wait_for("go on in the background")
        terminal.press("l")
        assert terminal.exit_code() == 0
        terminal.wait_for("`cgw tui` shows it again")
        assert is_claimed(home)
        terminal.close()
        terminal.start(*CGW, "tui", **given)
        terminal.wait_for("connect a tool")
        terminal.press("q")
        assert terminal.exit_code() == 0
        assert is_claimed(home)
        terminal.close()
        terminal.start("sh", "-c", f"{shlex.join([*CGW, 'down'])} && {shlex.join([*CGW, 'up'])}", **given)
        terminal.wait_for("connect a tool")
        terminal.close()
        terminal.until(lambda: not is_claimed(home), "its end")
