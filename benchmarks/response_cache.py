"""What an answer from the response cache costs: its latency and answers a second, beside a bare ASGI server that gives
the same bytes to the same requests.

    python benchmarks/response_cache.py [--requests 2000]

Gateway and bare server (uvicorn and starlette, one route) are processes of their own on the first core, the load is
made on another one where there is. Every answer is checked: a wrong one ends the run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator

KEY = "cgw-key-of-the-benchmark"
SONNET = "claude-sonnet-5-5"
AT_ONCE = 16
HEADERS = {"x-api-key": KEY, "content-type": "application/json"}

BARE = """
import socket, sys
from pathlib import Path
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

body, media_type = Path(sys.argv[1]).read_bytes(), sys.argv[2]

async def answer(request):
    await request.body()
    return Response(body, media_type=media_type)

sock = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
app = Starlette(routes=[Route(path, answer, methods=["POST"]) for path in ("/v1/messages", "/v1/chat/completions")])
server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
server.run(sockets=[sock])
"""


@dataclass(frozen=True)
class Case:
    name: str
    path: str
    request: dict[str, Any]
    answer: Answer

    @property
    def body(self) -> bytes:
        return orjson.dumps(self.request)


@dataclass(frozen=True)
class Measured:
    p50: float
    p99: float
    a_second: float
    cpu: float
    """Seconds of the server's CPU for one answer: what other work on the machine disturbs least."""


@dataclass(frozen=True)
class Server:
    url: str
    pid: int

    @property
    def cpu(self) -> float:
        """Seconds so far; 0 where there is no /proc."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def question(words: str, **fields: Any) -> dict[str, Any]:
    return {"model": SONNET, "max_tokens": 60_000, "messages": [{"role": "user", "content": words}], **fields}


def long_question() -> dict[str, Any]:
    """About 190 KB: 60 messages and 20 tools."""
    text = "def handler(event, context):\n    return {'status': 200, 'body': event['body']}\n" * 38
    messages = [{"role": ("user", "assistant")[n % 2], "content": f"{n}: {text}"} for n in range(59)]
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string", "description": "x" * 20} for n in range(6)}}
    tools = [{"name": f"tool_{n}", "description": "does it", "input_schema": schema} for n in range(20)]
    return {"model": SONNET, "max_tokens": 60_000, "messages": messages, "tools": tools}


def cases() -> Iterator[Case]:
    words, page = "Hello there, how are you?", "a line of words that says what there is to say. " * 400
    deltas = "sixteen letters." * 300
    native, chat = "/v1/messages", "/v1/chat/completions"
    yield Case("messages, 25 characters", native, question("short"), Answer(words))
    yield Case("messages, 19,000 characters", native, question("long"), Answer(page))
    yield Case("messages, 300 deltas", native, question("stream", stream=True), Answer(deltas))
    yield Case("chat, 25 characters", chat, question("short chat"), Answer(words))
    yield Case("chat, 19,000 characters", chat, question("long chat"), Answer(page))
    yield Case("chat, 300 deltas", chat, question("stream chat", stream=True), Answer(deltas))
    yield Case("messages, a request of 190 KB", native, long_question(), Answer(words))


@contextmanager
def on_the_first_core(command: list[str], **environ: str) -> Iterator[Server]:
    """Runs a server that tells its URL in its first line."""
    pinned = ["taskset", "-c", "0", *command] if hasattr(os, "sched_setaffinity") else command
    with subprocess.Popen(pinned, env={**os.environ, **environ}, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+?:\d+", process.stdout.readline().decode())
            assert found is not None, "it did not start"
            yield Server(found[0], process.pid)
        finally:
            process.terminate()


async def measure(server: Server, case: Case, expected: int, requests: int, *, hits: bool) -> Measured:
    """`expected` bytes an answer."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as http:

        async def ask() -> float:
            begin = time.perf_counter()
            async with http.post(server.url + case.path, data=case.body) as answer:
                body = await answer.read()
            took = time.perf_counter() - begin
            assert len(body) == expected, f"{len(body)} bytes instead of {expected}: {body[:200]!r}"
            assert not hits or answer.headers["x-cache"] == "HIT"
            return took

        for _ in range(50):
            await ask()
        before = server.cpu
        times = [await ask() for _ in range(requests)]

        async def keep_asking() -> None:
            for _ in range(requests // AT_ONCE):
                await ask()

        begin = time.perf_counter()
        await asyncio.gather(*(keep_asking() for _ in range(AT_ONCE)))
        crowd = requests // AT_ONCE * AT_ONCE
        a_second = crowd / (time.perf_counter() - begin)
    cpu = (server.cpu - before) / (requests + crowd)
    return Measured(statistics.median(times), statistics.quantiles(times, n=100)[98], a_second, cpu)


async def answer_of(url: str, case: Case) -> tuple[bytes, str]:
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        for _ in range(2):
            async with http.post(url + case.path, data=case.body) as answer:
                body = await answer.read()
                assert answer.status == 200, body
    return body, answer.content_type


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--requests", type=int, default=2000)
    requests = arguments.parse_args().requests
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {0})
    print(
        "| answer | bare p50 us | hit p50 us | bare p99 us | hit p99 us | bare /s | hits/s | bare CPU us | hit CPU us |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder, RunningSimulator() as claude:
        environ = {
            "CGW_HOME": f"{folder}/home",
            "CGW_PORT": "0",
            "ANTHROPIC_BASE_URL": claude.url,
            "ANTHROPIC_API_KEY": claude.api_key,
            "GATEWAY_API_KEY": KEY,
            "RATE_LIMIT_ENABLED": "0",
            "CGW_LOG_LEVEL": "warning",
        }
        with on_the_first_core([sys.executable, "-m", "sidecar", "up", "--headless"], **environ) as gateway:
            for case in cases():
                claude.simulator.script(case.answer)
                body, media_type = asyncio.run(answer_of(gateway.url, case))
                same = Path(folder, "body")
                same.write_bytes(body)
                hit = asyncio.run(measure(gateway, case, len(body), requests, hits=True))
                with on_the_first_core([sys.executable, "-c", BARE, str(same), media_type]) as plain:
                    bare = asyncio.run(measure(plain, case, len(body), requests, hits=False))
                print(
                    f"| {case.name} | {bare.p50 * 1e6:,.0f} | {hit.p50 * 1e6:,.0f} "
                    f"| {bare.p99 * 1e6:,.0f} | {hit.p99 * 1e6:,.0f} "
                    f"| {bare.a_second:,.0f} | {hit.a_second:,.0f} | {bare.cpu * 1e6:,.0f} | {hit.cpu * 1e6:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
