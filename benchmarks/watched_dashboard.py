"""The inside of `benchmarks/dashboard.py`: a sidecar that is told its exchanges, and a dashboard that times itself."""

from __future__ import annotations

import argparse
import asyncio
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
SAMPLES = 24
"""Of memory in a soak."""
GIVE_UP_SECONDS = 120.0


def rss(pid: int) -> float:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


# --- inside the stage: a real sidecar whose exchanges come from here


async def run_stage(home: Path) -> None:
    from sidecar import server
    from sidecar.commands.in_process import sidecar_in_process
    from sidecar.config import Settings
    from sidecar.gateway import Gateway
    from sidecar.home import Home

    gateways: list[Gateway] = []

    class Watched(Gateway):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            gateways.append(self)

    server.Gateway = Watched  # type: ignore[misc]
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

        self.app = Watched(url, key, "", rows=rows)

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
    from dataclasses import replace

    from tui.widgets.request_table import RequestTable

    app, found = clocked.app, {}
    await clocked.until(lambda: app.log_of_requests.rows)
    log, row = app.log_of_requests, app.log_of_requests.rows[0]
    for number in range(count - len(log)):
        model = f"claude-{('sonnet', 'opus', 'haiku')[number % 3]}-5-5"
        log.put(replace(row, id=f"req_{number}", time=row.time + number, model=model, cost_picos=number))
    log.version += 1
    found["opening the view"] = [await clocked.press("2", lambda: len(app.query(RequestTable)) and _full(app, count))]
    table = app.query_one(RequestTable)
    found["to the first row"] = [await clocked.press("home", lambda: table.cursor_id == log.rows[0].id)]
    for name, key in (("page down", "pagedown"), ("down", "down"), ("page up", "pageup")):
        found[name] = []
        for _ in range(100):
            before = table.cursor_id
            found[name].append(await clocked.press(key, lambda before=before: table.cursor_id != before))  # type: ignore[misc]
    begun = time.perf_counter()
    app.view.ask_filter()
    app.view.query_one("#filter").value = "~m opus"  # type: ignore[attr-defined]
    await clocked.until(lambda: 0 < table.shown < count / 2)
    found["filter, all rows looked at"] = [(time.perf_counter() - begun) * 1000]
    table.narrow(None)
    await clocked.until(lambda: _full(app, count))
    table.focus()
    begun = time.perf_counter()
    for column in ("State", "Time"):
        table.action_sort(1)
        await clocked.until(lambda column=column: table.sorted_by.startswith(column.lower()))  # type: ignore[misc]
    found["sorted by a column"] = [(time.perf_counter() - begun) * 500]
    return {"latency": found}


def _full(app: Any, count: int) -> bool:
    from tui.widgets.request_table import RequestTable

    return app.query_one(RequestTable).shown >= count


async def soak(clocked: Clocked, count: int) -> Any:
    """Looks at the table and at the overview in turns until so many requests were shown."""
    app, samples = clocked.app, []
    await clocked.until(lambda: app.log_of_requests.rows)
    seen = 0
    while seen < count:
        target = seen + count // SAMPLES
        await clocked.press("2" if len(samples) % 2 else "1", lambda: True)
        await clocked.until(lambda target=target: app.log_of_requests.seen >= min(target, count - 50))  # type: ignore[misc]
        seen = target
        samples.append((app.log_of_requests.seen, len(app.log_of_requests), rss(os.getpid())))
    return {"samples": samples}


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
    from tui.request_log import MOST_ROWS

    work = {
        "keys": lambda clocked: keys(clocked, args.seconds),
        "rows": lambda clocked: rows(clocked, ROWS),
        "soak": lambda clocked: soak(clocked, args.requests),
    }
    asyncio.run(
        run_stage(args.home)
        if args.part == "stage"
        else Clocked(args.url, args.key, ROWS if args.part == "rows" else MOST_ROWS).run(work[args.part], args.result)
    )


if __name__ == "__main__":
    main()
