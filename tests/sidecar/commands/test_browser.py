"""The dashboard in a browser, over real HTTP and a real WebSocket: only for whoever has the link."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from textual_serve.download_manager import DownloadManager

from sidecar.commands.browser import Browser, Page
from sidecar.home import Home
from sidecar.simulator.server import RunningSimulator
from sidecar.user_errors import UserError
from tests.support.sidecar import RunningSidecar

GIVE_UP_SECONDS = 60


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[str]:
    """Of a `cgw tui --serve` in front of a sidecar."""
    with RunningSimulator() as claude, RunningSidecar(tmp_path, claude) as sidecar:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sidecar", "tui", "--serve", "--port", "0", "--url", sidecar.url),
            env={"CGW_HOME": str(Home(tmp_path / "its").path), "GATEWAY_API_KEY": sidecar.key, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        found = None
        while found is None:
            line = (await asyncio.wait_for(process.stdout.readline(), GIVE_UP_SECONDS)).decode()
            assert line, "it ended"
            found = re.search(r"http://127\.0\.0\.1:\d+/\?key=\S+", line)
        yield found[0]
        process.send_signal(signal.SIGINT)
        rest = (await asyncio.wait_for(process.communicate(), GIVE_UP_SECONDS))[0].decode()
        assert "Traceback" not in rest
        assert process.returncode in {0, 130}


async def test_the_link_shows_the_dashboard_and_nothing_else_does(link: str) -> None:
    base, _, secret = link.partition("/?key=")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as stranger:
        for path in ("/", "/?key=wrong", "/static/js/textual.js", "/download/x"):
            async with stranger.get(base + path) as refused:
                assert refused.status == 403
                assert secret not in await refused.text()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await stranger.ws_connect(f"{base}/ws")
        async with stranger.get(link, headers={"host": "rebound.example"}) as elsewhere:
            assert elsewhere.status == 421
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as owner:
        async with owner.get(link) as page:
            assert page.status == 200
            assert page.url.query_string == ""
            assert page.headers["x-frame-options"] == "DENY"
            assert secret not in await page.text()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await owner.ws_connect(f"{base}/ws", origin="https://evil.example")
        async with asyncio.timeout(GIVE_UP_SECONDS), owner.ws_connect(f"{base}/ws?width=100&height=30") as terminal:
            shown = b""
            while b"Saved today" not in shown:
                message = await terminal.receive()
                assert message.type in {aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT}
                shown += message.data if isinstance(message.data, bytes) else b""


@pytest.mark.skipif(sys.platform == "win32", reason="the page's program is a shell's")
async def test_a_page_that_is_cut_off_leaves_no_process_behind() -> None:
    """Its output has ended, it has not: so Ctrl-C finds a dashboard that was closed a moment ago."""

    async def nobody(_: object = None) -> None: ...

    command = "exec >&- 2>&-; exec sleep 600"
    page = Page(command, write_bytes=nobody, write_str=nobody, close=nobody, download_manager=DownloadManager())
    await page.start(80, 24)
    process, running = page._process, page._task
    assert process is not None
    assert process.stdout is not None
    assert running is not None
    for _ in range(100 * GIVE_UP_SECONDS):
        if process.stdout.at_eof():
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)  # until it waits for nothing but the process; a little sooner or later proves as much
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, GIVE_UP_SECONDS)
    assert process.returncode is not None


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"Port {port} is taken"):
            Browser(["tui"], port, print)
