"""`cgw demo` on a terminal: the dashboard, while three tools work in front of it. Nothing leaves this machine."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from sidecar import __version__
from sidecar.commands.connecting import connection_lines
from sidecar.commands.demo import demo_settings
from sidecar.commands.demo_desks import DESKS, Claude, Desk, begun_anew
from sidecar.commands.demo_editor import Editor
from sidecar.commands.demo_session import Turn
from sidecar.commands.in_process import sidecar_in_process
from sidecar.home import Home
from sidecar.simulator.server import RunningSimulator
from tui.app import Dashboard


def show() -> None:
    """Until its user quits. The sidecar, the simulated Claude and all that they wrote are gone then."""
    with tempfile.TemporaryDirectory(prefix="cgw-demo-") as folder, RunningSimulator() as claude:
        asyncio.run(_show(Home(Path(folder) / "home"), claude))


async def _show(home: Home, claude: RunningSimulator) -> None:
    async with busy_sidecar(home, claude) as (url, serving):
        lines = connection_lines(url, home.gateway_key_file)
        dashboard = Dashboard(url, home.gateway_key(), lines, version=__version__)
        serving.add_done_callback(lambda _: dashboard.exit())
        await dashboard.run_async()


@asynccontextmanager
async def busy_sidecar(home: Home, claude: RunningSimulator) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """A sidecar in this process with a desk in each of its projects, all of them at work while the block runs."""
    claude.simulator.scripted.default = Claude()
    home.open()
    keys = await asyncio.to_thread(_projects, home)
    settings = demo_settings(claude).model_copy(update={"enable_multi_project": True})
    async with sidecar_in_process(settings, home) as (url, serving), aiohttp.ClientSession(trust_env=False) as session:
        desks = [asyncio.create_task(_work(session, url, keys[desk.project], desk)) for desk in DESKS]
        try:
            yield url, serving
        finally:
            for desk in desks:
                desk.cancel()
            await asyncio.wait(desks)


def _projects(home: Home) -> dict[str, str]:
    """The key of each desk's project."""
    from sidecar.ledger.database import Database
    from sidecar.projects.project import Project, micros_of_usd
    from sidecar.projects.store import ProjectStore

    database = Database.open(None, home.path)
    store = ProjectStore(database)
    try:
        return {
            desk.project: store.add(
                Project(name=desk.project, monthly_budget=micros_of_usd(desk.monthly_budget_usd), rpm=600)
            )
            for desk in DESKS
        }
    finally:
        database.close()


async def _work(session: aiohttp.ClientSession, url: str, key: str, desk: Desk) -> None:
    """One conversation after the other. Every third time they are the same as the time before, so that the response
    cache has something to do."""
    for time in itertools.count():
        for turns in desk.rounds:
            editor = Editor(session, f"{url}/v1", key, model=desk.model, system=desk.system)
            await _talk(editor, desk, turns, time - (time % 3 == 2))


async def _talk(editor: Editor, desk: Desk, turns: Sequence[Turn], time: int) -> None:
    """To its end, or to the first request that is refused (its budget is spent, say)."""
    for number, turn in enumerate([begun_anew(turns[0], time), *turns[1:]]):
        editor.tools = desk.tools(number, time)
        editor.add(turn)
        failed = (await editor.ask(lambda _: None)).error
        await asyncio.sleep(desk.pause_seconds)
        if failed:
            return
