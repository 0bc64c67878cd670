"""`cgw` as a user meets it: real processes, real sockets, the simulated Claude behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sidecar import __version__
from sidecar.commands.running import is_claimed
from sidecar.home import Home
from sidecar.models import listing
from sidecar.simulator.answers import Answer
from sidecar.simulator.catalogue import model_info
from sidecar.simulator.models import MODELS
from sidecar.simulator.server import RunningSimulator
from tests.support.command_line import SETTING_NAMES, Ran, cgw
from tests.support.gates import AN_HOUR, Gate
from tests.support.lived_in import furnish
from tests.support.ports import free_port
from tests.support.waiting import until

termios = pytest.importorskip("termios", reason="drives POSIX signals and terminals")

COMMAND = (sys.executable, "-m", "sidecar")
GIVE_UP_SECONDS = 120
"""Only so that a hang ends; nothing here depends on how fast it goes."""


@dataclass(frozen=True)
class User:
    """Somebody at a shell, with a home folder and an environment of their own."""

    home: Path
    environ: Mapping[str, str]

    def cgw(self, *arguments: str, **environ: str) -> Ran:
        return cgw(*arguments, environ={**self.environ, **environ})

    def runs(self, *arguments: str, **environ: str) -> Ran:
        """As a process of its own."""
        ran = subprocess.run(
            [*COMMAND, *arguments],
            env={**self.outside, **environ},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=GIVE_UP_SECONDS,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    @property
    def outside(self) -> dict[str, str]:
        """The environment of a process of its own."""
        return {name: value for name, value in os.environ.items() if name not in SETTING_NAMES} | dict(self.environ)

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.cgw("status", "--json").out)
        return told

    def is_running(self) -> bool:
        return is_claimed(Home(self.home))

    @contextmanager
    def running(self, *arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """A command in the foreground, once it has told its URL."""
        with subprocess.Popen(
            [*COMMAND, *arguments],
            env={**self.outside, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as process:
            assert process.stdout is not None
            try:
                found = re.search(r"http://\S+?:\d+", process.stdout.readline().decode())
                assert found is not None, process.communicate()
                yield process, found[0]
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[User]:
    """No key, nothing configured. Whatever is left running at the end is stopped."""
    user = User(tmp_path / "home", {"CGW_HOME": str(tmp_path / "home"), "COLUMNS": "100", "NO_COLOR": "1"})
    yield user
    if is_claimed(Home(user.home)):
        user.cgw("down")


@pytest.fixture
def user(stranger: User, claude: RunningSimulator) -> User:
    """Has a key for the simulated Claude, and has started cgw before."""
    home = Home(stranger.home)
    home.open()
    furnish(home)
    listing.save(home.models_file, [model_info(row) for row in MODELS], source=claude.url)
    keys = {"ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": claude.api_key}
    return User(stranger.home, {**stranger.environ, **keys})


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def ending(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """The rest of its output and errors, once it has ended."""
    out, err = process.communicate(timeout=GIVE_UP_SECONDS)
    return out.decode(), err.decode()


def one_sentence(err: str) -> str:
    """What stands on standard error, which must be a single `cgw: ...` line without a traceback."""
    [line] = err.splitlines()
    assert line.startswith("cgw: ")
    return line


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=GIVE_UP_SECONDS) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def refuses(url: str) -> bool:
    try:
        get(f"{url}/health")
    except urllib.error.URLError:
        return True
    return False


def ask(url: str, key: str, model: str = "sonnet") -> http.client.HTTPResponse:
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps({"model": model, "messages": [{"role": "user", "content": "hello there"}]}).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=GIVE_UP_SECONDS)
    return answer


def say_hello(url: str, key: str) -> str:
    with ask(url, key) as answer:
        content: str = json.load(answer)["choices"][0]["message"]["content"]
    return content


def test_help_names_every_command(stranger: User) -> None:
    ran = stranger.runs("--help")
    assert ran.code == 0
    assert all(f" {name} " in ran.out for name in ("up", "down", "status", "demo", "simulate", "config"))
    assert "\x1b[" not in ran.out


def test_help_needs_none_of_the_heavy_libraries() -> None:
    script = "import sys; import sidecar.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pydantic", "aiohttp", "uvicorn", "starlette", "textual", "rich", "anthropic", "mitmproxy"}
    assert not heavy & set(loaded)


def test_version(stranger: User) -> None:
    assert stranger.cgw("--version").out == f"cgw {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("up", "--port", "abc"), ("up", "--port", "70000"), ("config", "--path", "x")]
)
def test_wrong_usage_ends_with_2(stranger: User, arguments: tuple[str, ...]) -> None:
    ran = stranger.cgw(*arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("how", ["--headless", "--detach"])
def test_without_a_key_one_sentence_says_where_to_put_it(stranger: User, how: str) -> None:
    ran = (stranger.runs if how == "--detach" else stranger.cgw)("up", how, "--port", "0")
    assert ran.code == 1
    sentence = one_sentence(ran.err)
    assert all(word in sentence for word in ("ANTHROPIC_API_KEY", "cgw.toml", "cgw demo"))


def test_a_taken_port_is_one_sentence_with_the_port(user: User, taken: int) -> None:
    ran = user.cgw("up", "--headless", "--port", str(taken))
    assert ran.code == 1
    assert f"Port {taken} on 127.0.0.1 is taken" in one_sentence(ran.err)
    assert not user.is_running()


def test_a_bad_setting_is_one_sentence_and_ends_with_2(user: User) -> None:
    ran = user.cgw("up", "--headless", RATE_LIMIT_RPM="many")
    assert ran.code == 2
    assert "RATE_LIMIT_RPM in the environment is 'many'" in one_sentence(ran.err)


def test_a_sidecar_that_would_ask_itself_does_not_start(user: User) -> None:
    port = str(free_port())
    ran = user.cgw("up", "--headless", "--port", port, ANTHROPIC_BASE_URL=f"http://localhost:{port}")
    assert ran.code == 1
    assert "which is this sidecar itself" in one_sentence(ran.err)


def test_a_home_that_cannot_be_used_is_one_sentence(user: User, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = user.cgw("up", "--headless", "--port", "0", CGW_HOME=str(tmp_path / "file" / "home"))
    assert ran.code == 1
    assert "CGW_HOME" in one_sentence(ran.err)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("up", "--headless", "--port", "0"), "running.lock"),
        (("up", "--headless", "--port", "0"), "running.json"),
        (("up", "--detach", "--port", "0"), "logs/cgw.log"),
        (("status",), "running.lock"),
    ],
    ids=["up-running.lock", "up-running.json", "up-cgw.log", "status-running.lock"],
)
def test_a_file_of_the_home_that_cannot_be_used_is_one_sentence(
    user: User, arguments: tuple[str, ...], name: str
) -> None:
    in_the_way = user.home / name
    in_the_way.mkdir(parents=True)
    ran = user.runs(*arguments) if "--detach" in arguments else user.cgw(*arguments)
    in_the_way.rmdir()
    assert ran.code == 1
    assert name in one_sentence(ran.err)


def test_an_empty_key_is_none(user: User) -> None:
    user.home.mkdir(exist_ok=True)
    (user.home / "cgw.toml").write_text('anthropic_api_key = ""')
    ran = user.cgw("up", "--headless", "--port", "0", ANTHROPIC_API_KEY="")
    assert ran.code == 1
    assert "There is no Anthropic API key" in one_sentence(ran.err)


def test_a_router_that_cannot_be_used_is_one_sentence(user: User, tmp_path: Path) -> None:
    (tmp_path / "router.py").write_text("raise SystemExit(0)")
    ran = user.cgw("up", "--headless", "--port", "0", "--router", str(tmp_path / "router.py"))
    assert ran.code == 1
    assert "router.py: it cannot be loaded" in one_sentence(ran.err)


def test_an_addon_file_that_is_not_there_is_one_sentence(user: User) -> None:
    ran = user.cgw("up", "--headless", "--port", "0", "--addon", "no_such.py")
    assert ran.code == 1
    assert "no_such.py: there is no such file" in one_sentence(ran.err)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_tells_how_to_connect_and_ends_cleanly_when_told(user: User, stop: signal.Signals) -> None:
    with user.running("up", "--headless", "--port", "0") as (process, url):
        key_file = user.home / "gateway_key"
        key = key_file.read_text()
        assert "hello there" in say_hello(url, key)
        assert user.status()["url"] == url
        process.send_signal(stop)
        out, err = ending(process)
    assert process.returncode == 0
    assert f"Key: {key_file}" in out
    assert f"export OPENAI_BASE_URL={url}/v1" in out
    assert f"export ANTHROPIC_BASE_URL={url}\n" in out
    assert key not in out + err
    [request] = [line for line in err.splitlines() if " 200 chat " in line]
    assert "sonnet -> claude-" in request
    assert not user.is_running()
    assert not (user.home / "running.json").exists()


def test_in_the_background_it_outlives_the_command_and_is_found_used_and_stopped(user: User) -> None:
    started = user.runs("up", "--detach", "--port", "0")
    assert (started.code, started.err) == (0, "")
    status = user.status()
    url = status["url"]
    assert status["running"] is True
    assert status["health"]["pid"] == status["pid"]
    assert url in started.out
    assert f"runs at {url}" in user.cgw("status").out

    second = user.runs("up", "--detach", "--port", "0")
    assert second.code == 1
    assert f"already runs at {url}" in one_sentence(second.err)
    foreground = user.cgw("up", "--headless", "--port", "0")
    assert foreground.code == 1
    assert f"already runs at {url}" in one_sentence(foreground.err)

    say_hello(url, (user.home / "gateway_key").read_text())
    assert get(f"{url}/health")["requests"] == 1

    stopped = user.cgw("down")
    assert (stopped.code, stopped.out) == (0, f"Stopped the cgw at {url}.\n")
    assert " 200 chat " in (user.home / "logs" / "cgw.log").read_text()  # the line may wait for the ledger to open
    assert user.status() == {"running": False, "home": str(user.home), "health": None}
    folders = [user.home, user.home / "logs", user.home / "cache"]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3
    files = [user.home / "gateway_key", *(user.home / "logs").iterdir()]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


def test_a_sidecar_that_starts_needs_none_of_the_heavy_libraries() -> None:
    """Some come later, on a thread; mitmproxy and Textual never."""
    script = "import sys; import sidecar.commands.foreground, addons; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "textual",
        "mitmproxy",
        "aiohttp",
        "anthropic",
        "sqlalchemy",
        "alembic",
        "prometheus_client",
        "tiktoken",
        "redis",
    }
    assert not (heavy | {"limits", "genai_prices", "diskcache", "psycopg"}) & set(loaded)


def test_a_sidecar_with_the_settings_of_most_holds_no_more_in_memory_than_it_uses(user: User, tmp_path: Path) -> None:
    """Not even once its ledger is made and a request was answered."""
    told, addon = tmp_path / "modules", tmp_path / "tells.py"
    addon.write_text(
        "import pathlib, sys\n\nclass Tells:\n    def request(self, exchange):\n"
        f"        pathlib.Path({str(told)!r}).write_text('\\n'.join(sys.modules))\n"
    )
    Home(user.home).ledger_file.unlink()
    with user.running("up", "--headless", "--port", "0", "--addon", str(addon)) as (_, url):
        until(lambda: get(f"{url}/health")["ledger"]["state"] == "ok")
        say_hello(url, (user.home / "gateway_key").read_text())
    loaded = told.read_text().splitlines()
    assert {"aiohttp", "sqlalchemy", "genai_prices", "diskcache", "addons.file_references"} <= {*loaded}
    unused = {"alembic", "mako", "pygments", "rich", "psycopg", "redis", "limits", "textual", "mitmproxy", "anthropic"}
    assert not (unused | {"sqlalchemy.dialects.postgresql"}) & {*loaded}


def test_a_killed_sidecar_is_forgotten_and_another_one_starts(user: User) -> None:
    with user.running("up", "--headless", "--port", "0") as (process, _):
        process.kill()
        process.communicate()
    assert (user.home / "running.json").exists()
    assert not user.is_running()
    assert user.runs("up", "--detach", "--port", "0").code == 0
    assert user.is_running()


def test_stopping_waits_for_the_answer_in_flight(user: User, claude: RunningSimulator, gate: Gate) -> None:
    claude.simulator.script(Answer("worth waiting for", first_byte_after=AN_HOUR))
    with user.running("up", "--headless", "--port", "0") as (process, url), ThreadPoolExecutor(2) as pool:
        answer = pool.submit(say_hello, url, (user.home / "gateway_key").read_text())
        until(lambda: claude.simulator.ledger.messages)
        down = pool.submit(user.runs, "down")
        until(lambda: refuses(url), "its end")
        gate.open()
        assert down.result().code == 0
        assert answer.result() == "worth waiting for"
        assert process.wait(GIVE_UP_SECONDS) == 0


@pytest.mark.parametrize("how", ["its starter is gone", "somebody stops it"])
def test_a_tied_child_ends_cleanly_when(user: User, how: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "up", "--headless", "--port", "0", "--until-stdin-closes"],
        env=user.outside,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert b"listens on" in process.stdout.readline()
        if how == "its starter is gone":
            process.stdin.close()
        else:
            user.cgw("down")
        assert process.wait(GIVE_UP_SECONDS) == 0
    assert not user.is_running()


def test_a_host_a_key_addons_and_a_router_of_the_users_own_count(user: User, tmp_path: Path) -> None:
    addon = tmp_path / "stamp.py"
    addon.write_text(
        "class Stamp:\n    def request(self, exchange):\n        exchange.response_headers['x-stamp'] = 'seen'\n"
    )
    router = tmp_path / "router.py"
    router.write_text("def route(question):\n    return 'opus' if 'hello' in question.words else None\n")
    arguments = ("--host", "0.0.0.0", "--port", "0", "--addon", str(addon), "--router", str(router))
    started = user.runs("up", "--detach", *arguments, GATEWAY_API_KEY="my own key")
    assert (started.code, started.err) == (0, "")
    assert 'export OPENAI_API_KEY="$GATEWAY_API_KEY"' in started.out
    url = user.status()["url"]
    assert url.startswith("http://127.0.0.1:")
    with ask(url, "my own key") as answer:
        assert answer.headers["x-stamp"] == "seen"
        assert "reason=alias" in answer.headers["x-gateway-route"]
    with ask(url, "my own key", "auto") as answer:
        assert answer.headers["x-gateway-route"].startswith("claude-opus-5-5; reason=own router; the rules said")
    assert not (user.home / "gateway_key").exists()
    log = (user.home / "logs" / "cgw.log").read_text()
    assert "WARNING Listening on 0.0.0.0: other machines can reach this sidecar" in log


def test_nothing_to_stop_is_fine_and_nothing_to_see_is_not(stranger: User) -> None:
    down, status = stranger.cgw("down"), stranger.cgw("status")
    assert (down.code, down.out) == (0, "No cgw is running.\n")
    assert (status.code, status.out) == (1, "No cgw is running: start one with `cgw up`.\n")
    assert not stranger.home.exists()


def test_config_shows_values_and_origins_and_masks_secrets(stranger: User) -> None:
    stranger.home.mkdir()
    (stranger.home / "cgw.toml").write_text("rate_limit_rpm = 7\nrate_limit_rmp = 8\n")
    ran = stranger.cgw("config", ANTHROPIC_API_KEY="sk-ant-very-secret-1234", CGW_PORT="5")
    rows = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines() if line.strip()}
    assert ran.code == 0
    assert rows["ANTHROPIC_API_KEY"] == ["sk-...1234", "env"]
    assert rows["CGW_PORT"] == ["5", "env"]
    assert next(row for name, row in rows.items() if name.startswith("RATE_LIMIT_RPM")) == ["7", "cgw.toml"]
    assert "Did you mean `rate_limit_rpm`?" in one_sentence(ran.err)
    told = json.loads(stranger.cgw("config", "--json", CGW_PORT="5").out)
    assert told["settings"]["port"] == {"value": 5, "origin": "env"}


@pytest.mark.parametrize(
    ("place", "name"), [("home", ""), ("config", "cgw.toml"), ("key", "gateway_key"), ("log", "logs/cgw.log")]
)
def test_config_tells_where_things_are_kept(stranger: User, place: str, name: str) -> None:
    assert stranger.cgw("config", "--path", place).out.strip() == str(stranger.home / name)


def test_the_simulator_alone_serves_and_ends_cleanly(stranger: User) -> None:
    with stranger.running("simulate") as (process, url):
        assert get(f"{url}/_simulator/clock")
        process.send_signal(signal.SIGTERM)
        out, err = ending(process)
    assert (process.returncode, err) == (0, "")
    assert f"export ANTHROPIC_BASE_URL={url}" in out


def test_the_simulator_says_when_its_port_is_taken(stranger: User, taken: int) -> None:
    ran = stranger.cgw("simulate", "--port", str(taken))
    assert ran.code == 1
    assert f"Port {taken}" in one_sentence(ran.err)


class Terminal:
    """The screen and keyboard of a process; remembers everything that was shown."""

    def __init__(self) -> None:
        self._master, self.end = os.openpty()
        termios.tcsetwinsize(self.end, (30, 100))
        self.shown = b""

    def wait_for(self, text: bytes) -> None:
        while text not in self.shown:
            ready, _, _ = select.select([self._master], [], [], GIVE_UP_SECONDS)
            assert ready, f"{text!r} never came; shown was {self.shown[-3000:]!r}"
            self.shown += os.read(self._master, 65536)

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def drain(self) -> None:
        """Read on, so that nobody waits for room on the screen; Linux ends a terminal with EIO."""
        with contextlib.suppress(OSError):
            while piece := os.read(self._master, 65536):
                self.shown += piece


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@contextmanager
def watching(user: User, terminal: Terminal, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `cgw` with this terminal as its own."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        env={**user.outside, "TERM": "xterm-256color"},
        stdin=terminal.end,
        stdout=terminal.end,
        stderr=terminal.end,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_on_a_terminal_the_dashboard_opens_and_the_sidecar_ends_with_it(user: User, terminal: Terminal) -> None:
    with watching(user, terminal, "up", "--port", "0") as process:
        os.close(terminal.end)
        terminal.wait_for(b"export OPENAI_BASE_URL=")
        assert user.is_running()
        terminal.press(b"q")
        terminal.wait_for(b"go on in the background")
        terminal.press(b"s")
        terminal.drain()
        assert process.wait(GIVE_UP_SECONDS) == 0
    assert not user.is_running()


def test_a_sidecar_that_was_left_running_is_looked_at_again_and_ends_with_cgw_down(
    user: User, terminal: Terminal
) -> None:
    with watching(user, terminal, "up", "--port", "0") as process:
        terminal.wait_for(b"export OPENAI_BASE_URL=")
        terminal.press(b"q")
        terminal.wait_for(b"go on in the background")
        terminal.press(b"l")
        terminal.wait_for(b"`cgw tui` shows it again")
        assert process.wait(GIVE_UP_SECONDS) == 0
    assert user.status()["running"]
    terminal.shown = b""
    with watching(user, terminal, "tui") as process:
        os.close(terminal.end)
        terminal.wait_for(b"export OPENAI_BASE_URL=")
        terminal.press(b"q")
        terminal.drain()
        assert process.wait(GIVE_UP_SECONDS) == 0
    assert user.cgw("down").code == 0
    assert not user.is_running()


def test_there_is_no_dashboard_of_nothing(stranger: User) -> None:
    ran = stranger.cgw("tui")
    assert ran.code == 1
    assert "cgw up" in one_sentence(ran.err)


def test_the_key_of_this_machine_is_shown_to_no_other(stranger: User) -> None:
    ran = stranger.cgw("tui", "--url", "http://192.0.2.1:4343")
    assert ran.code == 1
    assert "ADMIN_API_KEY" in one_sentence(ran.err)
