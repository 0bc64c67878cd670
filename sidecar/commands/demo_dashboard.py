"""`cgw demo` on a terminal: the dashboard, while an editor works in front of it. Nothing leaves this machine."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp
from rich.console import Console

from sidecar.commands.connecting import connection_lines
from sidecar.commands.demo import demo_settings
from sidecar.commands.demo_editor import Editor
from sidecar.commands.demo_session import SESSION
from sidecar.commands.in_process import sidecar_in_process
from sidecar.credentials import wire_headers
from sidecar.home import Home
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from tui.app import Dashboard

FIRST_BYTE_SECONDS: Final = 0.4
DELTA_SECONDS: Final = 0.02
PAUSE_SECONDS: Final = 1.0
"""The pace at which a person can watch."""

ROUNDS: Final = ("sonnet", "sonnet", "opus", "haiku", "opus", "haiku")
"""The model of each round. One that comes again asks what was asked before: the response cache answers it."""


def show(console: Console) -> None:
    """Until its user quits. The sidecar, the simulated Claude and all that they wrote are gone then."""
    with tempfile.TemporaryDirectory(prefix="cgw-demo-") as folder, RunningSimulator() as claude:
        asyncio.run(_show(console, Home(Path(folder) / "home"), claude))


async def _show(console: Console, home: Home, claude: RunningSimulator) -> None:
    with console.status("Starting"):
        await wire_headers(claude.api_key, claude.url)
    async with sidecar_in_process(demo_settings(claude), home) as (url, serving):
        dashboard = Dashboard(url, home.gateway_key(), connection_lines(url, home.gateway_key_file))
        serving.add_done_callback(lambda _: dashboard.exit())
        editor = asyncio.create_task(_work(url, home.gateway_key(), claude), name="demo editor")
        try:
            await dashboard.run_async()
        finally:
            editor.cancel()
            with suppress(asyncio.CancelledError):
                await editor


async def _work(url: str, key: str, claude: RunningSimulator) -> None:
    async with aiohttp.ClientSession(trust_env=False) as session:
        for model in ROUNDS:
            editor = Editor(session, f"{url}/v1", key, model=model)
            for turn in SESSION:
                claude.simulator.scripted.clear()  # an answer from the response cache leaves its own behind
                claude.simulator.script(
                    Answer(turn.answer, first_byte_after=FIRST_BYTE_SECONDS, delta_every=DELTA_SECONDS)
                )
                editor.add(turn)
                if (await editor.ask(lambda _: None)).error:
                    return
                await asyncio.sleep(PAUSE_SECONDS)
