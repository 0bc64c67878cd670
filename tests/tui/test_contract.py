"""The stand-in of the dashboard's tests speaks like a real sidecar: the same routes, fields and kinds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar
from tests.support.told_sidecar import CONVERSATION, DOCTOR, FILES, ROWS, exchange, overview, projects, row, state
from tui import shapes
from tui.sidecar_client import SidecarClient

TEXT = "\n".join(f"line {number} of a file that is long enough to be worth a reference" for number in range(120))


def kinds(value: Any) -> Any:
    """Its shape: fields and JSON kinds, of a list the first element's; numbers are one kind."""
    match value:
        case dict():
            return {name: kinds(inner) for name, inner in value.items()}
        case list():
            return [kinds(value[0])] if value else []
        case bool() | str() | None:
            return type(value).__name__
        case _:
            return "number"


def fits(told: Any, real: Any, where: str = "") -> None:
    """Every field of the one is in the other, and of the same kind; null and empty lists fit everything. What is
    under names that are data (layers, switches, headers) is not compared."""
    if told in ("NoneType", []) or real in ("NoneType", []) or where.rpartition(".")[2] in FREE:
        return
    assert type(told) is type(real), where
    if isinstance(told, dict):
        assert set(told) <= set(real), f"{where}: {set(told) - set(real)} is told and is not there"
        missing = set(real) - set(told) - {"ttl"}
        assert not missing or where.removeprefix("hello.") in OPEN, f"{where}: {missing} is there and is not told"
        for name in told:
            fits(told[name], real[name], f"{where}.{name}")
    elif isinstance(told, list):
        fits(told[0], real[0], where)
    else:
        assert told == real, where


FREE = {"saved_by", "switches", "headers", "answer_headers", "numbers", "content", "interceptor", "answer"}
OPEN = {"state.ledger", "files", "answer", "hello"}
"""Where the sidecar tells more than the dashboard reads."""


@pytest.fixture
async def real(tmp_path: Path) -> Any:
    with RunningSimulator() as claude, RunningSidecar(tmp_path, claude) as sidecar:
        async with aiohttp.ClientSession(sidecar.url, headers={"x-api-key": sidecar.key}) as session:
            messages: list[Any] = [{"role": "user", "content": "Look."}]
            for number in range(3):
                call = {"type": "tool_use", "id": f"toolu_{number}", "name": "read_file", "input": {"path": "a.py"}}
                result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": TEXT}
                messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
                body = {
                    "model": "sonnet",
                    "max_tokens": 99,
                    "tools": [{"name": "read_file", "input_schema": {"type": "object"}}],
                    "messages": messages,
                }
                async with session.post("/v1/messages", json=body) as answer:
                    assert answer.status == 200
            yield session, answer.headers["x-request-id"]


async def get(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(f"/admin/{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_what_the_stand_in_tells_is_what_a_sidecar_tells(real: Any) -> None:
    session, request = real
    for _ in range(600):
        if len((await get(session, "requests"))["rows"]) == 3:
            break
        await asyncio.sleep(0.05)
    detail = await get(session, f"exchanges/{request}")
    fits(kinds(row(1)), kinds(detail["row"]), "row")
    fits(kinds(exchange(row(1))), kinds(detail), "exchange")
    rows = (await get(session, "requests"))["rows"]
    fits(kinds(ROWS[1]), kinds(rows[0]), "row")
    fits(kinds(overview()), kinds(await get(session, "overview?range=15m")), "overview")
    told = (await get(session, "conversations"))["conversations"]
    fits(kinds(CONVERSATION), kinds(told[0]), "conversation")
    turns = await get(session, f"conversations/{told[0]['conversation']}")
    fits(kinds({"conversation": CONVERSATION, "turns": [row(1)]}), kinds(turns), "turns")
    fits(kinds(FILES), kinds((await get(session, "files"))["files"]), "files")
    fits(kinds(projects()), kinds((await get(session, "projects"))["projects"]), "projects")
    fits(kinds(DOCTOR["findings"]), kinds((await get(session, "doctor"))["findings"]), "findings")
    for path, content in (("bypass", {"on": False}), ("bodies", {"keep": 50})):
        async with session.post(f"/admin/{path}", json=content) as answer:
            fits(kinds(state()), kinds(await answer.json()), "state")
    assert not await strange_to_the_dashboard(session, request, told[0]["conversation"])


async def strange_to_the_dashboard(session: aiohttp.ClientSession, request: str, conversation: str) -> set[str]:
    """What a dashboard of the same version reads and a sidecar does not tell."""
    client = SidecarClient(str(session._base_url), session.headers["x-api-key"])
    async for name, _ in client.events():
        if name == "state":
            break
    for path, shape in (
        ("overview?range=15m", shapes.OVERVIEW),
        ("requests", shapes.REQUESTS),
        ("conversations", shapes.CONVERSATIONS),
        (f"conversations/{conversation}", shapes.CONVERSATION),
        (f"exchanges/{request}", shapes.EXCHANGE),
        ("files", shapes.FILES),
        ("projects", shapes.PROJECTS),
        ("doctor", shapes.DOCTOR),
    ):
        await client.get(path, shape)
    await client.post("bypass", shapes.STATE, {"on": False})
    await client.close()
    return client.strange


async def test_the_feed_begins_as_the_stand_ins_does(real: Any) -> None:
    session, _ = real
    async with asyncio.timeout(30), session.get("/admin/events") as feed:
        assert (await feed.content.readline()).strip() == b"event: hello"
        hello = json.loads((await feed.content.readline()).removeprefix(b"data: "))
    fits(
        kinds({"instance": "x", "version": "x", "url": "x", "time": 1, "rows": [row(1)], "state": state()}),
        kinds(hello),
        "hello",
    )
