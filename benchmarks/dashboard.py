"""What the dashboard costs, and how fast it is.

    python benchmarks/dashboard.py [--part start,up,keys,rows,soak,beside] [--seconds 20] [--requests 72000]

- start: from the start of `cgw tui` in a terminal of 120x40 to its first picture, and to the first one with figures
- up: the same from the start of `cgw up`, which starts a sidecar too: with a new home, and with the home of before
- keys: from a key press to the end of the drawing that shows what it did, while 200 requests a second are shown
- rows: a table of 100,000 requests: opened, scrolled, filtered, sorted
- soak: memory of dashboard and sidecar while requests pass, more of them than the table keeps
- beside: latency of requests through a sidecar without and with a dashboard attached, in turns, in one run

Everything runs in processes of its own and in real terminals (pseudo-terminals whose other end is read). The sidecar
is a real one. For `keys`, `rows` and `soak` its exchanges are told to it from inside, past HTTP and past Claude: two
hundred real ones a second would leave no processor for the dashboard. That inside is `benchmarks/watched_dashboard.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

COLUMNS, LINES = 120, 40
SHOWN_A_SECOND = 200
ROWS = 100_000
BESIDE_ROUNDS = 8
BESIDE_SECONDS = 5.0
BESIDE_A_SECOND = 20
GIVE_UP_SECONDS = 120.0
STARTS = 7
INSIDE = Path(__file__).with_name("watched_dashboard.py")


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(milliseconds: Sequence[float]) -> str:
    shares = " ".join(f"p{round(100 * share)} {percentile(milliseconds, share):.1f}" for share in (0.5, 0.9, 0.99))
    return f"{shares} max {max(milliseconds):.1f} ms (n={len(milliseconds)})"


# --- processes


@contextmanager
def terminal(*command: str, environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], bytes]]]:
    """The command on a terminal of its own, and what it has written to it so far."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    written = bytearray()

    def read() -> None:
        with suppress(OSError):
            while piece := os.read(ours, 65536):
                written.extend(piece)

    child = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environ},
    )
    os.close(theirs)
    threading.Thread(target=read, daemon=True).start()
    try:
        yield child, lambda: bytes(written)
    finally:
        child.terminate()
        child.wait()
        os.close(ours)


@contextmanager
def stage(home: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A sidecar that is told requests: one line of input is `COUNT A_SECOND`, and one of output says that they were."""
    command = [sys.executable, str(INSIDE), "stage", "--home", str(home)]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, text=True) as child:
        assert child.stdout is not None
        url, key = child.stdout.readline().split()
        try:
            yield child, url, key
        finally:
            child.terminate()


def told(child: subprocess.Popen[str], count: int, a_second: float) -> None:
    """Returns once it has begun."""
    assert child.stdin is not None
    child.stdin.write(f"{count} {a_second}\n")
    child.stdin.flush()


def rss(pid: int) -> float:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def cpu(pid: int) -> float:
    """Seconds of this process so far, its children's left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the parts


def measured(
    part: str, url: str, key: str, folder: Path, args: argparse.Namespace, meanwhile: Callable[[int], None]
) -> Any:
    """What the dashboard measured of itself; `meanwhile` is called every half second with its process id."""
    result = folder / f"{part}.json"
    given = ["--url", url, "--key", key, "--result", str(result)]
    given += ["--seconds", str(args.seconds), "--requests", str(args.requests)]
    with terminal(sys.executable, str(INSIDE), part, *given, environ={}) as (child, _):
        while child.poll() is None:
            time.sleep(0.5)
            meanwhile(child.pid)
    found = json.loads(result.read_text())
    if "failed" in found:
        raise SystemExit(f"{part}: {found['failed']}")
    return found


def tell(latency: dict[str, list[float]]) -> None:
    for name, milliseconds in latency.items():
        print(f"  {name:<28} {spread(milliseconds)}")


def part_start(args: argparse.Namespace, folder: Path) -> None:
    print("start of `cgw tui`, seconds")
    with stage(folder / "start") as (child, url, key):
        told(child, 40, 100)
        time.sleep(3)
        whole: dict[str, list[float]] = {}
        for _ in range(STARTS):
            _started(whole, ("tui", "--url", url), {"ADMIN_API_KEY": key})
        _tell_starts(whole)


def part_up(args: argparse.Namespace, folder: Path) -> None:
    from sidecar.simulator.server import RunningSimulator

    print("start of `cgw up`, seconds")
    with RunningSimulator() as claude:
        environ = {"ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": claude.api_key}
        for told, homes in (
            ("new", [folder / f"up-{number}" for number in range(STARTS)]),
            ("known", [folder / "up-0"] * STARTS),
        ):
            whole: dict[str, list[float]] = {}
            for home in homes:
                theirs = {**environ, "CGW_HOME": str(home)}
                _started(whole, ("up", "--port", "0"), theirs)
                subprocess.run(
                    [sys.executable, "-m", "sidecar", "down"],
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, **theirs},
                    check=True,
                )
            print(f"  a {told} home")
            _tell_starts(whole)


def _started(whole: dict[str, list[float]], command: Sequence[str], environ: dict[str, str]) -> None:
    """The moments of one start. Processor time is that of the dashboard's own process."""
    begun = time.perf_counter()
    with terminal(sys.executable, "-m", "sidecar", *command, environ=environ) as (dashboard, written):
        for name, words in (("first picture", b"Saved today"), ("with figures", b"spent")):
            while words not in written():
                if time.perf_counter() - begun > GIVE_UP_SECONDS:
                    raise SystemExit(f"{words!r} never came: {written()[-2000:]!r}")
                time.sleep(0.002)
            whole.setdefault(name, []).append(time.perf_counter() - begun)
        whole.setdefault("processor time", []).append(cpu(dashboard.pid))


def _tell_starts(whole: dict[str, list[float]]) -> None:
    for name, seconds in whole.items():
        print(f"  {name:<28} best {min(seconds):.2f} median {statistics.median(seconds):.2f} max {max(seconds):.2f}")


def part_keys(args: argparse.Namespace, folder: Path) -> None:
    with stage(folder / "keys") as (child, url, key):
        told(child, int(SHOWN_A_SECOND * (args.seconds + 60)), SHOWN_A_SECOND)
        time.sleep(2)
        used: list[float] = []
        begun = time.perf_counter()
        found = measured("keys", url, key, folder, args, lambda pid: used.append(_cpu_or_nan(pid)))
        share = max(used) / (time.perf_counter() - begun)
        print(f"keys while {found['shown_a_second']:.0f} requests a second are shown ({share:.0%} of a processor)")
        tell(found["latency"])


def _cpu_or_nan(pid: int) -> float:
    with suppress(OSError):
        return cpu(pid)
    return 0.0


def part_rows(args: argparse.Namespace, folder: Path) -> None:
    with stage(folder / "rows") as (child, url, key):
        told(child, 10, 100)
        time.sleep(2)
        print(f"a table of {ROWS:,} requests")
        found = measured("rows", url, key, folder, args, lambda _: None)
        tell(found["latency"])
        print(f"  memory: {found['bytes_a_row']:.0f} bytes a row")


def part_soak(args: argparse.Namespace, folder: Path) -> None:
    with stage(folder / "soak") as (child, url, key):
        told(child, 50, 50)
        time.sleep(2)
        told(child, args.requests, args.soak_a_second)
        sidecars: list[float] = []
        found = measured("soak", url, key, folder, args, lambda _: sidecars.append(rss(child.pid)))
        samples = found["samples"]
        print(f"soak: {args.requests:,} requests, as many as come in {args.requests / 72_000:.1f} hours at 20 a second")
        for seen, known, megabytes in samples[:: max(1, len(samples) // 8)] + samples[-1:]:
            print(f"  {seen:>9,} seen, {known:>9,} in the table: dashboard {megabytes:6.1f} MB")
        if found["dropped"]:
            print(f"  the machine was too slow: {found['dropped']} batches were dropped, and the ledger filled in")
        half = len(samples) // 2
        _tell_slope("dashboard, second half", samples[half][0], samples[-1][0], samples[half][2], samples[-1][2])
        quarter = len(sidecars) // 2
        print(f"  sidecar: {sidecars[0]:.1f} MB at first, {sidecars[quarter]:.1f} half-way, {sidecars[-1]:.1f} at last")


def _tell_slope(name: str, first: int, last: int, before: float, after: float) -> None:
    a_row = (after - before) * 1e6 / max(1, last - first)
    print(f"  {name}: {before:.1f} -> {after:.1f} MB, {a_row:.0f} bytes a request")


def part_beside(args: argparse.Namespace, folder: Path) -> None:
    """Real requests through a real sidecar, in front of the simulated Claude."""
    asyncio.run(_beside(folder))


async def _beside(folder: Path) -> None:
    from sidecar.simulator.answers import Answer
    from sidecar.simulator.server import RunningSimulator

    home = folder / "beside"
    with RunningSimulator() as claude:
        claude.simulator.scripted.default = lambda _: Answer("It is in the parser. " * 20)
        environ = {
            **os.environ,
            "CGW_HOME": str(home),
            "ANTHROPIC_BASE_URL": claude.url,
            "ANTHROPIC_API_KEY": claude.api_key,
            "GATEWAY_API_KEY": "cgw-key-of-the-benchmark",
            "RATE_LIMIT_RPM": "1000000",
        }
        command = [sys.executable, "-m", "sidecar", "up", "--headless", "--port", "0"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as up:
            try:
                url = _url_of(home)
                await _in_turns(url, environ)
            finally:
                up.terminate()


def _url_of(home: Path) -> str:
    from sidecar.commands.running import find
    from sidecar.home import Home

    deadline = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        if (running := find(Home(home))) is not None:
            return running.url
        time.sleep(0.1)
    raise SystemExit("the sidecar did not start")


async def _in_turns(url: str, environ: dict[str, str]) -> None:
    """Without and with a dashboard, over and over: what else the machine does falls on both."""
    latency: dict[str, list[float]] = {"without": [], "with": []}
    reused = aiohttp.TCPConnector(keepalive_timeout=1.0)  # a sidecar closes what nobody used for some seconds
    headers = {"x-api-key": environ["GATEWAY_API_KEY"]}
    async with aiohttp.ClientSession(headers=headers, connector=reused, trust_env=False) as session:
        await _load(session, url, 2.0)
        for turn in range(2 * BESIDE_ROUNDS):
            name = ("without", "with")[turn % 2]
            async with _dashboard(url, environ, attached=name == "with"):
                latency[name] += await _load(session, url, BESIDE_SECONDS)
    print(f"requests at {BESIDE_A_SECOND} a second, {BESIDE_ROUNDS} times {BESIDE_SECONDS:.0f} s each, whole answers")
    for name, seconds in latency.items():
        print(f"  {name:<8} a dashboard: {spread([1000 * one for one in seconds])}")
    for share in (0.5, 0.9, 0.99):
        ratio = percentile(latency["with"], share) / percentile(latency["without"], share)
        print(f"  p{round(100 * share)} with / without: {ratio:.2f}")


@asynccontextmanager
async def _dashboard(url: str, environ: dict[str, str], *, attached: bool) -> AsyncIterator[None]:
    if not attached:
        await asyncio.sleep(1.0)
        yield
        return
    with terminal(sys.executable, "-m", "sidecar", "tui", "--url", url, environ=environ) as (_, written):
        while b"spent" not in written():
            await asyncio.sleep(0.05)
        yield


async def _load(session: aiohttp.ClientSession, url: str, seconds: float) -> list[float]:
    """Seconds that each request took, begun at a steady pace however long the others take."""
    taken: list[float] = []

    async def ask(number: int) -> None:
        text = f"{number} {random.random()} Where is the bug?"
        body = {
            "model": "sonnet",
            "max_tokens": 400,
            "stream": True,
            "messages": [{"role": "user", "content": text}],
        }
        begun = time.perf_counter()
        async with session.post(f"{url}/v1/messages", json=body) as answer:
            whole = await answer.read()
            if answer.status != 200 or b"message_stop" not in whole:
                raise SystemExit(f"{answer.status}: {whole[:200]!r}")
        taken.append(time.perf_counter() - begun)

    begun, tasks = time.perf_counter(), []
    for number in range(int(seconds * BESIDE_A_SECOND)):
        tasks.append(asyncio.create_task(ask(number)))
        await asyncio.sleep(max(0.0, begun + (number + 1) / BESIDE_A_SECOND - time.perf_counter()))
    await asyncio.gather(*tasks)
    return taken


PARTS = {
    "start": part_start,
    "up": part_up,
    "keys": part_keys,
    "rows": part_rows,
    "soak": part_soak,
    "beside": part_beside,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS), help="some of them, with commas between")
    parser.add_argument("--seconds", type=float, default=20.0, help="of keys")
    parser.add_argument("--requests", type=int, default=50_000, help="of the soak")
    parser.add_argument("--soak-a-second", type=float, default=500.0)
    args = parser.parse_args()
    print(f"load average at the beginning: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="cgw-benchmark-") as folder:
        for part in args.part.split(","):
            print(f"[{time.strftime('%H:%M:%S')}] {part} ...", file=sys.stderr, flush=True)
            PARTS[part](args, Path(folder))
            sys.stdout.flush()
    print(f"load average at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
