"""One run in which everything is said and written that can be, and a search through all of it for every secret.

A real process at debug level, with a recording, an addon that fails with all that it sees in its message, a Redis that
is not there, and a mask that would let everybody read new files.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from sidecar.config import Settings, environment_name
from sidecar.simulator.answers import Failure
from sidecar.simulator.server import RunningSimulator
from tests.support.command_line import cgw

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and process lists are Unix's")

OURS = frozenset(name for field in Settings.model_fields if (name := environment_name(field)))
CLAUDES_KEY = "sk-ant-simulated-key-that-pays"
SECRETS = {
    "the key at Anthropic": CLAUDES_KEY,
    "the gateway's key": "cgw-secret-of-the-gateway",
    "the owner's key": "cgw-secret-of-the-owner",
    "the password of Redis": "secret-of-redis",
    "a subscription's token": "sk-ant-oat01-secret-of-a-subscription",
    "a key that is wrong": "sk-secret-that-opens-nothing",
    "a cookie": "session=secret-of-a-browser",
    "a proxy's password": "secret-of-a-proxy",
}
ADDON = """
class TellsAll:
    def request(self, exchange):
        raise RuntimeError(f"{exchange!r} {vars(exchange) if hasattr(exchange, '__dict__') else ''}")
    def error(self, exchange):
        raise RuntimeError(f"{exchange.error!r} {exchange!r}")
"""
FEED_SECONDS = 0.5


class Run:
    def __init__(self, folder: Path, claude: RunningSimulator) -> None:
        self.home = folder / "home"
        self.folder = folder
        self.claude = claude
        settings = {
            "CGW_HOME": str(self.home),
            "CGW_LOG_LEVEL": "debug",
            "ANTHROPIC_BASE_URL": claude.url,
            "ANTHROPIC_API_KEY": CLAUDES_KEY,
            "GATEWAY_API_KEY": SECRETS["the gateway's key"],
            "ADMIN_API_KEY": SECRETS["the owner's key"],
            "REDIS_URL": f"redis://:{SECRETS['the password of Redis']}@127.0.0.1:9/0",
            "ENABLE_MULTI_PROJECT": "1",
            "RETRY_ENABLED": "0",
        }
        self.environ = {name: value for name, value in os.environ.items() if name not in OURS} | settings
        self.secrets = dict(SECRETS)
        self.told: dict[str, bytes] = {}
        """Whatever was said, by who said it."""
        self.url = ""

    def cgw(self, *words: str) -> str:
        done = cgw(*words, environ=self.environ)
        self.told["cgw " + " ".join(words)] = (done.out + done.err).encode()
        return done.out

    def ask(self, method: str, path: str, key: str, **given: Any) -> httpx2.Response:
        headers = {"x-api-key": key, **given.pop("headers", {})}
        answer = httpx2.request(method, self.url + path, headers=headers, timeout=60, **given)
        self.told[f"{method} {path} {len(self.told)}"] = str(answer.headers).encode() + answer.content
        return answer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with RunningSimulator(api_key=CLAUDES_KEY) as claude:
        run = Run(tmp_path_factory.mktemp("secrets"), claude)
        before = os.umask(0)
        try:
            everything(run)
        finally:
            os.umask(before)
        yield run


def everything(run: Run) -> None:
    addon = run.folder / "tells_all.py"
    addon.write_text(ADDON)
    made = run.cgw("projects", "add", "work")
    run.told.popitem()  # it shows the key of the project, this once
    found = re.search(r"cgw-[\w-]{20,}", made)
    assert found is not None, made
    run.secrets["a project's key"] = found[0]
    run.cgw("record", "on")
    command = [sys.executable, "-m", "sidecar", "up", "--headless", "--port=0", f"--addon={addon}"]
    errors, said = run.folder / "errors", run.folder / "said"
    with errors.open("wb") as error_file, said.open("wb") as said_file:
        process = subprocess.Popen(
            command, env=run.environ, stdin=subprocess.DEVNULL, stdout=said_file, stderr=error_file
        )
    try:
        while not (found := re.search(r"http://\S+?:\d+", said.read_text())):
            assert process.poll() is None, errors.read_text()
            time.sleep(0.05)
        run.url = found[0]
        while (
            httpx2.get(f"{run.url}/v1/models", headers={"x-api-key": SECRETS["the gateway's key"]}).status_code == 503
        ):
            time.sleep(0.05)  # the projects are not read yet
        requests(run)
        commands(run)
        run.told["the process list"] = command_lines()
    finally:
        process.terminate()
        process.wait(60)
    run.told["standard output"] = said.read_bytes()
    run.told["standard error"] = errors.read_bytes()


def requests(run: Run) -> None:
    gateway, owner = SECRETS["the gateway's key"], SECRETS["the owner's key"]
    strange = {
        "authorization": f"Bearer {SECRETS["a subscription's token"]}",
        "cookie": SECRETS["a cookie"],
        "proxy-authorization": f"Basic {SECRETS["a proxy's password"]}",
    }
    body = {"model": "sonnet", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
    for path in ("/v1/messages", "/v1/chat/completions"):
        for key in (gateway, run.secrets["a project's key"]):
            assert run.ask("POST", path, key, json=body, headers=strange).status_code == 200
            assert run.ask("POST", path, key, json={**body, "stream": True}).status_code == 200
        assert run.ask("POST", path, SECRETS["a key that is wrong"], json=body).status_code == 401
        run.ask("POST", path, gateway, content=b"{nope")
        run.claude.simulator.script(Failure(500), Failure(401))
        for again in range(2):
            run.ask("POST", path, gateway, json={**body, "temperature": 0.1 * again}, headers=strange)
    run.ask("GET", "/nowhere", gateway)
    run.ask("GET", "/health", gateway)
    for path in (
        "usage",
        "health",
        "metrics",
        "files",
        "cache",
        "doctor",
        "overview",
        "requests",
        "conversations",
        "projects",
    ):
        run.ask("GET", f"/admin/{path}", owner)
    rows = run.ask("GET", "/admin/requests", owner).json()["rows"]
    for row in rows:
        run.ask("GET", f"/admin/exchanges/{row['id']}", owner)
    feed = b""
    with httpx2.stream("GET", f"{run.url}/admin/events", headers={"x-api-key": owner}, timeout=60) as events:
        for chunk in events.iter_raw():
            feed += chunk
            if b"event: state" in feed or b"event: batch" in feed:
                break
    run.told["the dashboard's feed"] = feed


def commands(run: Run) -> None:
    for words in ("config", "config --json", "status --json", "doctor --json", "usage --json", "env", "connect cline"):
        run.cgw(*words.split())
    run.cgw("export", "--out", str(run.folder / "export.jsonl"))


def command_lines() -> bytes:
    found = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return b"\n".join(found)


def written(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.rglob("*") if path.is_file())


def forms(secret: str) -> set[bytes]:
    """As it is, in a URL, and in base64."""
    return {secret.encode(), quote(secret).encode(), base64.b64encode(secret.encode()).rstrip(b"=")}


def test_no_secret_is_said_anywhere(run: Run) -> None:
    assert b"TellsAll" in run.told["standard error"], "the addon told all it sees"
    assert len(run.told) > 40
    found = [
        (name, where)
        for name, secret in run.secrets.items()
        for where, text in run.told.items()
        if any(form in text for form in forms(secret)) and not shown_on_purpose(name, where)
    ]
    assert found == []


def shown_on_purpose(name: str, where: str) -> bool:
    """The gateway's key, to the owner who asks how to use it."""
    return name == "the gateway's key" and where in ("cgw env", "cgw connect cline")


def test_no_secret_is_written_anywhere(run: Run) -> None:
    files = list(written(run.folder))
    assert {"ledger.sqlite3", "errors", "export.jsonl"} <= {path.name for path in files}
    assert any(path.suffix == ".jsonl" and path.parent.name == "recordings" for path in files)
    found = [
        (name, str(path))
        for path in files
        if path.name != "tells_all.py"
        for name, secret in run.secrets.items()
        if any(form in path.read_bytes() for form in forms(secret))
    ]
    assert found == []


def test_only_the_user_may_read_what_was_written_whatever_the_mask(run: Run) -> None:
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [run.home, *run.home.rglob("*")]}
    wide = {str(path): oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)}
    assert wide == {}


def test_claude_got_the_key_and_nothing_of_the_clients(run: Run) -> None:
    rows = run.claude.simulator.ledger.rows
    assert rows
    for row in rows:
        said = json.dumps(dict(row.headers)).encode() + row.body
        assert CLAUDES_KEY.encode() in said
        for name, secret in run.secrets.items():
            assert name == "the key at Anthropic" or secret.encode() not in said


def test_no_value_shows_a_secret_when_it_is_printed() -> None:
    settings = Settings(
        anthropic_api_key=CLAUDES_KEY, gateway_api_key="cgw-x-secret", redis_url="redis://:pw-secret@h/0"
    )
    for shown in (repr(settings), str(settings), f"{settings.model_dump()}", settings.model_dump_json()):
        assert "secret" not in shown
        assert CLAUDES_KEY not in shown
