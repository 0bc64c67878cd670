"""What ten thousand streamed requests leave in a sidecar: memory, sockets, threads and requests that never end.

    python benchmarks/soak.py [--requests 10000] [--at-once 16]

A real process before the simulated Claude, with everything on but the limit of requests a minute. Both dialects
take turns; each fifth request goes on with a conversation, one in twenty is left in mid-stream, one in fifty is none at
all. The slope is that of a straight line through the second half, since what is bounded fills up in the first.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from typing import Any

import aiohttp

from sidecar.simulator.server import RunningSimulator

KEY = "cgw-key-of-the-benchmark"
NATIVE, CHAT = "/v1/messages", "/v1/chat/completions"
POINTS = 20
"""How often it is looked at."""
WORDS = "a word or two about nothing in particular, "


@dataclass
class Sidecar:
    url: str
    pid: int

    def rss(self) -> float:
        """MiB."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def sockets(self) -> int:
        found = 0
        for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found += str(descriptor.readlink()).startswith("socket:")
            except FileNotFoundError:
                continue
        return found


@dataclass
class Soak:
    session: aiohttp.ClientSession
    endings: Counter[str] = field(default_factory=Counter)

    async def one(self, number: int) -> None:
        path = (NATIVE, CHAT)[number % 2]
        messages: list[dict[str, Any]] = [{"role": "user", "content": f"{number - number % 5}: {WORDS * 20}"}]
        for turn in range(number % 5):
            messages += [{"role": "assistant", "content": f"so {turn}"}, {"role": "user", "content": f"go on {turn}"}]
        body: Any = {"model": "sonnet", "max_tokens": 600, "stream": True, "messages": messages}
        if number % 50 == 7:
            body = {"model": 7}
        async with self.session.post(path, json=body, headers={"x-api-key": KEY}) as answer:
            if number % 20 == 3:
                await answer.content.readany()
                answer.close()
                self.endings["left"] += 1
                return
            content = await answer.read()
        whole = b"message_stop" in content or b"[DONE]" in content
        self.endings[f"{answer.status}{'' if whole else ', not whole'}"] += 1

    async def some(self, numbers: range, at_once: int) -> None:
        waiting = iter(numbers)

        async def client() -> None:
            for number in waiting:
                await self.one(number)

        await asyncio.gather(*(client() for _ in range(at_once)))


async def soak(sidecar: Sidecar, requests: int, at_once: int) -> None:
    part = requests // POINTS
    points: list[tuple[int, float]] = []
    print("\n| requests | resident, MiB | sockets | threads |\n|---:|---:|---:|---:|")
    async with aiohttp.ClientSession(sidecar.url, connector=aiohttp.TCPConnector(limit=0)) as session:
        soak = Soak(session)
        await soak.some(range(requests, requests + at_once), at_once)
        for point in range(POINTS + 1):
            points.append((point * part, sidecar.rss()))
            print(f"| {point * part:,} | {sidecar.rss():.1f} | {sidecar.sockets()} | {sidecar.threads()} |", flush=True)
            if point < POINTS:
                await soak.some(range(point * part, (point + 1) * part), at_once)
    print(f"\nendings: {dict(sorted(soak.endings.items()))}")
    half = points[POINTS // 2 :]
    slope, _ = linear_regression([done for done, _ in half], [mib for _, mib in half])
    print(f"slope of the second half: {slope * 1024 * 1000:+.0f} KiB per 1,000 requests")
    await asyncio.sleep(5)
    async with aiohttp.ClientSession(sidecar.url) as session, session.get("/health") as answer:
        health = await answer.json()
    print(f"5 s later: {health['in_flight']} in flight, {sidecar.sockets()} sockets, {sidecar.rss():.1f} MiB")
    print(f"ledger: {health['ledger']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=16)
    arguments = parser.parse_args()
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d %H:%M')}"
    )
    with RunningSimulator() as claude, tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "CGW_HOME": f"{folder}/home",
            "CGW_PORT": "0",
            "ANTHROPIC_BASE_URL": claude.url,
            "ANTHROPIC_API_KEY": claude.api_key,
            "GATEWAY_API_KEY": KEY,
            "RATE_LIMIT_ENABLED": "0",
        }
        log = Path(folder) / "log"
        with (
            log.open("wb") as said,
            subprocess.Popen(
                [sys.executable, "-m", "sidecar", "up", "--headless"], env=environ, stdout=subprocess.PIPE, stderr=said
            ) as process,
        ):
            try:
                assert process.stdout is not None
                found = re.search(r"http://\S+?:\d+", process.stdout.readline().decode())
                if found is None:
                    raise SystemExit(log.read_text())
                begun = time.perf_counter()
                asyncio.run(soak(Sidecar(found[0], process.pid), arguments.requests, arguments.at_once))
                print(f"{arguments.requests / (time.perf_counter() - begun):.0f} requests a second, Claude included")
            finally:
                process.terminate()
                process.wait(60)
        complaints = [line for line in log.read_text().splitlines() if " WARNING " in line or " ERROR " in line]
        print(f"warnings and errors in its log: {len(complaints)}", *complaints[:5], sep="\n  ")


if __name__ == "__main__":
    main()
