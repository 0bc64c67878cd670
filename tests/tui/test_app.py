"""The placeholder dashboard, driven by Textual's pilot in front of a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from textual.pilot import Pilot

from tui.app import Dashboard
from tui.widgets.connect import Connect
from tui.widgets.vitals import Vitals, duration


@pytest.fixture
def sidecar_url() -> Iterator[str]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(
                {"status": "ok", "version": "9.9", "uptime_seconds": 187, "requests": 41, "in_flight": 2}
            ).encode()
            self.send_response(200 if self.path == "/health" else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def vitals_text(pilot: Pilot[None]) -> str:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    return str(pilot.app.query_one(Vitals).render())


async def test_it_shows_address_uptime_and_requests_of_the_running_sidecar(sidecar_url: str) -> None:
    async with Dashboard(sidecar_url, "export X=1").run_test() as pilot:
        shown = await vitals_text(pilot)
    assert sidecar_url in shown
    assert "up 3 min 07 s" in shown
    assert "41 requests, 2 in flight" in shown


async def test_it_says_so_when_the_sidecar_does_not_answer() -> None:
    async with Dashboard("http://127.0.0.1:9", "export X=1").run_test() as pilot:
        assert "does not answer" in await vitals_text(pilot)


async def test_it_shows_how_to_connect_a_tool_exactly_as_given(sidecar_url: str) -> None:
    text = 'export OPENAI_API_KEY="$(cat [x]/key)"'
    async with Dashboard(sidecar_url, text).run_test() as pilot:
        await vitals_text(pilot)
        assert str(pilot.app.query_one(Connect).render()) == text


async def test_q_quits(sidecar_url: str) -> None:
    app = Dashboard(sidecar_url, "")
    async with app.run_test() as pilot:
        await pilot.press("q")
        await pilot.pause()
    assert not app.is_running


@pytest.mark.parametrize(("seconds", "shown"), [(0.9, "0 s"), (59, "59 s"), (187, "3 min 07 s"), (7500, "2 h 05 min")])
def test_durations_read_well(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
