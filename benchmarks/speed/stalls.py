"""How long the sidecar's event loop does nothing else: the whole application in this process, and a clock on its loop.

    python stalls.py CLAUDE_URL

A tick is due every half millisecond. What the loop's thread worked between two ticks is CPU time, whatever else runs on
the machine; what passed on the clock holds the waiting for the interpreter and for a core as well. Uvicorn is not in
it: a body comes in pieces of 256 KB, as it would hand them over.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop
from asks import Conversation
from load import Ask

KEY = "cgw-key-of-the-benchmark"
TICK_SECONDS = 0.0005
PIECE = 256 * 1024
SIZES = {"200 KB": 190_000, "1 MB": 1_000_000, "4 MB": 4_000_000}
LATER_TURNS = 12
SETTLE_SECONDS = 0.3


class Clock:
    """The longest stretches since it was asked last."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._cpu, self._wall = time.thread_time(), time.perf_counter()
        self._worst = (0.0, 0.0)
        self._tick()

    def _tick(self) -> None:
        cpu, wall = time.thread_time(), time.perf_counter()
        self._worst = max(self._worst[0], cpu - self._cpu), max(self._worst[1], wall - self._wall - TICK_SECONDS)
        self._cpu, self._wall = cpu, wall
        self._loop.call_later(TICK_SECONDS, self._tick)

    def worst(self) -> tuple[float, float]:
        """CPU and clock, in seconds."""
        worst, self._worst = self._worst, (0.0, 0.0)
        return worst


async def ask(app: Any, path: str, one: Ask) -> None:
    pieces = [one.body[at : at + PIECE] for at in range(0, len(one.body), PIECE)]
    headers = {"host": "127.0.0.1:1", "content-type": "application/json", "x-api-key": KEY}
    headers["content-length"] = str(len(one.body))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 2),
        "server": ("127.0.0.1", 1),
        "state": {},
    }
    said: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)  # each has come by itself
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        said.append(message.get("body", b""))

    await app(scope, receive, send)
    if one.mark not in b"".join(said):
        raise RuntimeError(f"a wrong answer: {said!r}"[:600])


async def measured(app: Any, clock: Clock, *, chat: bool, size: int) -> list[tuple[float, float]]:
    """Of the first request of a conversation, of its second, and the worst of later ones."""
    path = "/v1/chat/completions" if chat else "/v1/messages"
    asks: Iterator[Ask] = Conversation(size, 4_000, chat).asks()
    found = []
    for count in (1, 1, LATER_TURNS):
        waiting = [next(asks) for _ in range(count)]
        await asyncio.sleep(SETTLE_SECONDS)
        clock.worst()
        for one in waiting:
            await ask(app, path, one)
            await asyncio.sleep(0.02)
        await asyncio.sleep(SETTLE_SECONDS)
        found.append(clock.worst())
    return found


async def main(claude_url: str, home: Path) -> None:
    from sidecar import interpreter
    from sidecar.application import sidecar_app
    from sidecar.config_sources import load_settings
    from sidecar.home import Home

    given = {
        "ANTHROPIC_BASE_URL": claude_url,
        "ANTHROPIC_API_KEY": "sk-ant-of-the-benchmark",
        "GATEWAY_API_KEY": KEY,
        "RATE_LIMIT_RPM": "1000000000",
    }
    interpreter.begin()
    where = Home(home)
    where.open()
    async with sidecar_app(load_settings(where, environ=given).settings, where, url="http://127.0.0.1:1") as app:
        await asyncio.sleep(5)
        interpreter.tune()
        clock = Clock()
        print("| | first request | second | later turns |\n|---|---:|---:|---:|")
        for name, size in SIZES.items():
            for dialect in ("messages", "chat"):
                found = await measured(app, clock, chat=dialect == "chat", size=size)
                cells = [f"{cpu * 1e3:.1f} / {wall * 1e3:.1f}" for cpu, wall in found]
                print(f"| {name}, {dialect} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CGW_HOME"] = folder
        uvloop.run(main(sys.argv[1], Path(folder)))
