"""The inside of `benchmarks/dashboard.py`: a sidecar that is told its exchanges, and a dashboard that times itself."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROWS = 100_000
SOAKED_ROWS = 15_000
"""Kept in a soak: so few that most of it shows what happens when the oldest go."""
SAMPLES = 24
"""Of memory in a soak."""
GIVE_UP_SECONDS = 120.0
STALLED_SECONDS = 15.0
"""Without a request after which no more are waited for."""


def rss(pid: int) -> float:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


# --- inside the stage: a real sidecar whose exchanges come from here


async def run_stage(home: Path) -> None:
    from sidecar import application
    from sidecar.commands.in_process import sidecar_in_process
    from sidecar.config import Settings
    from sidecar.gateway import Gateway
    from sidecar.home import Home

    gateways: list[Gateway] = []

    class Watched(Gateway):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            gateways.append(self)

    application.Gateway = Watched  # type: ignore[misc]
    settings = Settings.model_validate({"anthropic_api_key": "none", "anthropic_base_url": "http://127.0.0.1:9"})
    async with sidecar_in_process(settings, Home(home)) as (url, _):
        print(url, Home(home).gateway_key(), flush=True)
        tasks: set[asyncio.Task[None]] = set()
        while line := await asyncio.to_thread(sys.stdin.readline):
            count, a_second = line.split()
            begun = time.perf_counter()
            for number in range(int(count)):
                task = asyncio.create_task(_one(gateways[0], number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                ahead = begun + (number + 1) / float(a_second) - time.perf_counter()
                await asyncio.sleep(max(0.0, ahead))
            await asyncio.gather(*tasks)
            print("told", flush=True)


async def _one(gateway: Any, number: int) -> None:
    """A request as an agent makes it: a long prompt, most of it cached, half a second of answer."""
    from sidecar.exchange import Exchange, Usage
    from sidecar.headers import new_request_id

    chance = random.Random(number)  # the same requests in every run
    model = chance.choice(["claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5"])
    words = f"conversation {number // 40}"
    exchange = Exchange(
        id=new_request_id(),
        dialect="openai_chat",
        client_headers={},
        query="",
        client_body=b"{}",
        request={"model": model, "messages": [{"role": "user", "content": words}]},
        stream=True,
        model_asked=model.split("-")[1],
        model=model,
        route_reason="alias",
        client=chance.choice(["aider", "cline", "claude-code"]),
    )
    async with gateway.account(exchange):
        timing = exchange.timing
        timing.upstream_sent = time.perf_counter()
        prompt = 4_000 + 900 * (number % 40)
        exchange.usage = Usage(input_tokens=12, cache_read_tokens=prompt, cache_write_5m_tokens=900)
        for piece in range(4):
            await asyncio.sleep(0.12)
            timing.first_byte = timing.first_byte or time.perf_counter()
            exchange.delivered += 300 * (piece + 1)
        exchange.usage = Usage(
            input_tokens=12, cache_read_tokens=prompt, cache_write_5m_tokens=900, output_tokens=700 + number % 300
        )
        exchange.removed_tokens = number % 2_000
        exchange.stop_reason = "end_turn"
        timing.upstream_ended = time.perf_counter()


# --- inside the dashboard: it presses its own keys and looks at when the screen was drawn


class Clocked:
    """Runs the real dashboard on this terminal, with a task beside it that does `work`."""

    def __init__(self, url: str, key: str, rows: int) -> None:
        gc.disable()  # as in `cgw tui`
        from sidecar import __version__
        from tui import app

        clocked = self
        self.awaited: tuple[Callable[[], object], asyncio.Future[float]] | None = None
        """What the next drawings are looked at for."""
        self.cpu: list[float] = []
        """Milliseconds of processor time from each key to its drawing: what else this machine does is not in it."""

        class Watched(app.Dashboard):
            CSS_PATH = Path(app.__file__).with_name("cgw.tcss")

            def _display(self, *given: Any, **named: Any) -> None:
                super()._display(*given, **named)
                if clocked.awaited is not None and clocked.awaited[0]() and not clocked.awaited[1].done():
                    clocked.awaited[1].set_result(time.perf_counter())

        self.app = Watched(url, key, "", version=__version__, rows=rows)

    async def run(self, work: Callable[[Clocked], Any], result: Path) -> None:
        async def beside() -> None:
            try:
                result.write_text(json.dumps(await work(self)))
            except BaseException as error:
                result.write_text(json.dumps({"failed": repr(error)}))
                raise
            finally:
                self.app.exit()

        task = asyncio.create_task(beside())
        await self.app.run_async()
        await task

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while not holds():
                await asyncio.sleep(0.01)

    async def press(self, key: str, shows: Callable[[], object]) -> float:
        """Milliseconds from the key to the end of the first drawing with which `shows` holds."""
        from textual.events import Key

        drawn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.awaited = shows, drawn
        begun, used = time.perf_counter(), time.process_time()
        self.app.post_message(Key(key, key if len(key) == 1 else None))
        async with asyncio.timeout(GIVE_UP_SECONDS):
            ended = await drawn
        self.awaited = None
        self.cpu.append((time.process_time() - used) * 1000)
        return (ended - begun) * 1000


async def keys(clocked: Clocked, seconds: float) -> Any:
    """Cursor keys in the table, views and back, while requests come in."""
    from tui.widgets.request_table import RequestTable

    app, found = clocked.app, {}
    await clocked.until(lambda: app.log_of_requests.rows)
    await clocked.press("2", lambda: app.view.id == "requests")
    table = app.query_one(RequestTable)
    shown_before, begun = len(app.log_of_requests), time.perf_counter()
    moves: list[float] = []
    while time.perf_counter() - begun < seconds:
        before = table.cursor_id
        key = "up" if len(moves) % 20 < 15 else "pageup" if len(moves) % 20 < 19 else "end"  # never up to the first
        moves.append(await clocked.press(key, lambda before=before: table.cursor_id != before))  # type: ignore[misc]
        await asyncio.sleep(0.09)
    found["up and page up in the table"] = moves
    found["  processor time of it"], clocked.cpu = clocked.cpu[1:], []
    views: list[float] = []
    names = ("overview", "requests", "conversations", "requests")
    for number in range(40):
        name = names[number % 4]
        key = {"overview": "1", "requests": "2", "conversations": "3"}[name]
        views.append(await clocked.press(key, lambda name=name: app.view.id == name))  # type: ignore[misc]
        await asyncio.sleep(0.15)
    found["another view"] = views
    found["  its processor time"] = clocked.cpu
    shown = (len(app.log_of_requests) - shown_before) / (time.perf_counter() - begun)
    return {"latency": found, "shown_a_second": shown}


async def rows(clocked: Clocked, count: int) -> Any:
    from tui.request_row import row_from_wire
    from tui.widgets.request_table import RequestTable

    app, found = clocked.app, {}
    await clocked.until(lambda: app.log_of_requests.rows)
    await asyncio.sleep(1.0)  # the ledger's page
    log, before = app.log_of_requests, rss(os.getpid())
    newest = log.rows[-1].time
    for number in range(count):
        log.put(row_from_wire(_wire(number, newest + number / 10)))
        if number % 1_000 == 0:
            await asyncio.sleep(0)
    log.version += 1

    size = rss(os.getpid()) - before
    found["opening the view"] = [await clocked.press("2", lambda: app.view.id == "requests" and _shown(app) >= count)]
    table = app.query_one(RequestTable)
    found["to the first row"] = [await clocked.press("home", lambda: table.cursor_id == log.rows[0].id)]
    for name, key in (("page down", "pagedown"), ("down", "down"), ("page up", "pageup")):
        found[name] = []
        for _ in range(100):
            cursor = table.cursor_id
            found[name].append(await clocked.press(key, lambda cursor=cursor: table.cursor_id != cursor))  # type: ignore[misc]
    # What takes longer than a picture: how long until it is done, and what a key press takes meanwhile.
    for name, begin, done in (
        ("a filter", lambda: table.narrow(lambda row: "opus" in row.model), lambda: 0 < table.count < count / 2),
        ("every row again", lambda: table.narrow(None), lambda: table.count >= count),
        ("sorted by cost", lambda: _sort_by(table, "Cost"), lambda: _sorted(table)),
    ):
        begun, pressed = time.perf_counter(), []
        table.call_later(begin)  # in the table's own task: it starts work of its own
        for number in range(6):
            cursor = table.cursor_id
            key = "down" if number % 2 else "pagedown"
            pressed.append(await clocked.press(key, lambda cursor=cursor: table.cursor_id != cursor))  # type: ignore[misc]
            if done():
                break
        await clocked.until(done)
        found[f"{name}, until done"] = [(time.perf_counter() - begun) * 1000]
        found[f"{name}, keys meanwhile"] = pressed
    return {"latency": found, "bytes_a_row": size * 1e6 / count}


def _shown(app: Any) -> int:
    from tui.widgets.request_table import RequestTable

    return app.query_one(RequestTable).count if len(app.query(RequestTable)) else 0


def _sort_by(table: Any, name: str) -> None:
    table.click_heading([heading for heading, _, _ in table.headings].index(name))


def _sorted(table: Any) -> bool:
    rows = table.rows[:200]
    costs = [row.cost_picos for row in rows]
    return bool(costs) and costs[0] > costs[-1] and costs == sorted(costs, reverse=True)


def _wire(number: int, moment: float) -> dict[str, Any]:
    """A row as a sidecar tells it; no two have the same id, and forty are one conversation."""
    chance = random.Random(number)
    name = chance.choice(["sonnet", "opus", "haiku"])
    cost = chance.randrange(10**11)
    return {
        "id": f"req_{chance.getrandbits(128):032x}", "time": moment, "state": "ok", "kind": "generate",
        "dialect": "openai_chat", "stream": True, "project": "default", "client": chance.choice(["aider", "cline"]),
        "conversation": f"{number // 40:032x}", "model_asked": name, "model": f"claude-{name}-5-5",
        "route_reason": "alias", "input_tokens": 12, "cache_read_tokens": 41_000, "cache_write_tokens": 900,
        "output_tokens": 700 + number % 300, "thinking_tokens": 0, "removed_tokens": number % 2_000, "cache": "MISS",
        "prompt_cache": "hit", "cost_picos": cost, "baseline_picos": 3 * cost, "saved_picos": 2 * cost,
        "saved_by": {"prompt_cache": cost, "file_references": cost}, "estimated": False, "first_byte_ms": 512.25,
        "duration_ms": 4_200.5, "overhead_ms": 1.5, "status": 200, "error": None, "stop_reason": "end_turn",
        "retries": 0, "miss": None, "has_body": False, "via": "base_url",
    }  # fmt: skip


async def soak(clocked: Clocked, count: int) -> Any:
    """Looks at the table and at the overview in turns until so many requests were shown, or no more come."""
    app, samples = clocked.app, []
    log = app.log_of_requests
    await clocked.until(lambda: log.rows)
    while len(samples) < SAMPLES and (not samples or samples[-1][0] < count - 50):
        target = min(count - 50, count * (len(samples) + 1) // SAMPLES)
        await clocked.press("2" if len(samples) % 2 else "1", lambda: True)
        seen, moved = log.end, time.monotonic()
        while log.end < target and time.monotonic() - moved < STALLED_SECONDS:
            await asyncio.sleep(0.05)
            if log.end != seen:
                seen, moved = log.end, time.monotonic()
        samples.append((log.end, len(log), rss(os.getpid())))
        if log.end < target:
            break
    dropped = (app.state or {}).get("dropped", 0)
    return {"samples": samples, "dropped": dropped}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("stage", "keys", "rows", "soak"))
    for name in ("url", "key"):
        parser.add_argument(f"--{name}")
    for name in ("home", "result"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--requests", type=int)
    args = parser.parse_args()
    work = {
        "keys": lambda clocked: keys(clocked, args.seconds),
        "rows": lambda clocked: rows(clocked, ROWS),
        "soak": lambda clocked: soak(clocked, args.requests),
    }
    asyncio.run(
        run_stage(args.home)
        if args.part == "stage"
        else Clocked(args.url, args.key, SOAKED_ROWS if args.part == "soak" else ROWS).run(work[args.part], args.result)
    )


if __name__ == "__main__":
    main()
