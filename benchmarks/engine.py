"""The savings engine's own time a request, at conversations of 200 KB, 1 MB and 4 MB with 4 KB new in each request.

    python benchmarks/engine.py [--turns 30] [--sizes 200 1000 4000]

A whole sidecar answers in front of the simulated Claude; its layers are timed one by one. What any proxy pays (parsing,
translating, hashing and writing the body) grows with the conversation and is printed beside; the engine's own share
should not. CPU times of the process, medians; `first` is the request that brings the whole history, with nothing known
of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any
from unittest.mock import patch

import orjson

from sidecar import memory
from sidecar.commands.replay import LOSSLESS
from sidecar.dialects.openai_chat import decode
from sidecar.exchange import Exchange
from sidecar.home import Home
from sidecar.pipeline import Pipeline
from sidecar.replay.sessions import Session, Turn
from sidecar.replay.stage import Stage, WatchedClaude
from sidecar.simulator.ledger import Row
from sidecar.simulator.models import find
from sidecar.simulator.prompt import render
from sidecar.simulator.simulator import Turn as SimulatedTurn

MODEL = "claude-sonnet-5-5"
NEW_BYTES = 4_000
RESULT_BYTES = 8_000
"""Of one tool result in the history."""
PAUSE = 20.0
REMEMBER, HASH = "remember", "hash"
PROXY = ("parse", "translate", HASH, "dump")
"""What any proxy that knows its conversations pays."""

spent: defaultdict[str, float] = defaultdict(float)
"""Seconds of the request that is being timed."""


class TimedPipeline(Pipeline):
    """Says what each layer takes."""

    async def _run(self, addon: object, hook: Callable[..., Any], exchange: Exchange, *more: Any) -> None:
        begun = process_time()
        await super()._run(addon, hook, exchange, *more)
        if hook.__name__ == "request":
            spent[type(addon).__name__] += process_time() - begun


class RoomyClaude(WatchedClaude):
    """Reads prompts of any length."""

    def accept(self, row: Row, workspace: str, *, counting: bool = False) -> SimulatedTurn:
        request = json.loads(row.body)
        model = find(request["model"])
        assert model is not None
        blocks = render(request, model)
        return SimulatedTurn(request, model, workspace, blocks, sum(block.tokens for block in blocks))


def timed[**P, R](name: str, function: Callable[P, R]) -> Callable[P, R]:
    def measured(*arguments: P.args, **named: P.kwargs) -> R:
        begun = process_time()
        try:
            return function(*arguments, **named)
        finally:
            spent[name] += process_time() - begun

    return measured


class Conversation:
    """An agent that reads files; of what it reads, a third stood in the conversation before."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": "Read all of it."}]
        self.size = 0
        self._random = random.Random(1)
        self._lines: list[str] = []
        self._calls = 0

    def grow(self, size: int) -> None:
        """By one call and its result of about `size` bytes."""
        result: list[str] = []
        while sum(map(len, result)) < size:
            result += self._again() if self._lines and self._random.random() < 1 / 3 else self._fresh()
        text = "\n".join(result)
        self._calls += 1
        call = {"name": "read_file", "arguments": json.dumps({"path": f"src/{self._calls}.py"})}
        self.messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": f"call_{self._calls}", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": f"call_{self._calls}", "content": text},
        ]
        self.size += len(text)

    def _fresh(self) -> list[str]:
        lines = [
            f"    {self._word()} = {self._word()}({self._word()}, {self._random.randrange(1000)})" for _ in range(20)
        ]
        self._lines += lines
        return lines

    def _again(self) -> list[str]:
        start = self._random.randrange(max(1, len(self._lines) - 20))
        return self._lines[start : start + 20]

    def _word(self) -> str:
        return (
            self._random.choice(("path", "index", "value", "reader", "total", "handle"))
            + "_"
            + str(self._random.randrange(200))
        )


async def measure(size: int, turns: int) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds by layer: of the first request, and the medians of the others."""
    conversation = Conversation()
    while conversation.size < size:
        conversation.grow(RESULT_BYTES)
    first: dict[str, float] = {}
    others: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="cgw-benchmark-") as folder:
        home = Home(Path(folder) / "home")
        home.open()
        async with Stage(home, RoomyClaude()) as stage:
            await stage.start({**LOSSLESS, "prometheus_enabled": False})
            await asyncio.sleep(3)  # the books open beside the first requests
            for number in range(turns + 1):
                body = {"messages": [*conversation.messages]}
                answer = [{"type": "text", "text": "Next."}]
                session = Session("one", "an agent", [Turn(body, None)])
                spent.clear()
                await stage.ask(session, session.turns[0], MODEL, answer, 1e9 + number * PAUSE)
                around_body(body)
                stage.claude.take()
                for name, seconds in spent.items():
                    if number:
                        others[name].append(seconds * 1000)
                    else:
                        first[name] = seconds * 1000
                conversation.grow(NEW_BYTES)
                await asyncio.sleep(0.05 if number else 3)  # what goes on beside must not count
    return first, {name: median(times) for name, times in others.items()}


def around_body(body: dict[str, Any]) -> None:
    """What reading and writing a body takes, measured beside."""
    raw = orjson.dumps({**body, "model": MODEL})
    wire = timed("parse", orjson.loads)(raw)
    request = timed("translate", decode)(wire).request
    timed("dump", orjson.dumps)(request)


def show(sizes: list[int], measured: list[tuple[dict[str, float], dict[str, float]]]) -> None:
    names = [name for name in measured[0][1] if name not in PROXY]
    print("| milliseconds | " + " | ".join(f"{size // 1000:,} KB | first" for size in sizes) + " |")
    print("|---|" + "---|" * 2 * len(sizes))

    def row(what: str, value: Callable[[dict[str, float]], float]) -> None:
        cells = [f"{value(each):.2f} | {value(first):.1f}" for first, each in measured]
        print(f"| {what} | " + " | ".join(cells) + " |")

    for name in names:
        row(name, lambda times, name=name: own(name, times))  # type: ignore[misc]  # the default binds the name
    row("**the engine**", lambda times: sum(own(name, times) for name in names))
    for name in PROXY:
        row(f"{name} (any proxy)", lambda times, name=name: times.get(name, 0.0))  # type: ignore[misc]
    whole = [sum(own(name, each) for name in names) for _, each in measured]
    print(f"\nFrom {sizes[0] // 1000:,} KB to {sizes[-1] // 1000:,} KB the engine takes {whole[-1] / whole[0]:.1f}x.")


def own(name: str, times: dict[str, float]) -> float:
    """The memory hashes the request before it looks anything up."""
    return times.get(name, 0.0) - (times.get(HASH, 0.0) if name == "ConversationMemory" else 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1000, 4000], help="kilobytes of history")
    arguments = parser.parse_args()
    print(
        f"{platform.platform()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n"
    )
    sizes = [size * 1000 for size in arguments.sizes]
    with (
        patch("sidecar.application.Pipeline", TimedPipeline),
        patch("sidecar.memory._flattened", timed(HASH, memory._flattened)),  # noqa: SLF001  # to tell it apart
        patch("sidecar.memory.ConversationMemory.accepted", timed(REMEMBER, memory.ConversationMemory.accepted)),
    ):
        show(sizes, [asyncio.run(measure(size, arguments.turns)) for size in sizes])


if __name__ == "__main__":
    main()
