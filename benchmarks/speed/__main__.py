"""What cgw adds to going to Claude directly, with every layer and the ledger on, beside a bare server and a bare proxy.

    python benchmarks/speed [--quick] [--only NAME ...] [--rounds 3]

One process of each server on the first core; the load and a Claude that costs next to nothing on the other, where there
is one. Every answer is checked, and a wrong one ends the run, or a peer's part in the case. Rounds are interleaved:
each measures every server with a case before the next case begins; figures are medians of the rounds. Ratios within one
run mean more than the numbers.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median, quantiles

import uvloop
from asks import Case, Conversation, repeated, small
from load import Measured, WrongAnswerError, run
from peers import installed_peers
from servers import HERE, SETTLE_SECONDS, Server, cgw, claude, floor


@dataclass(frozen=True)
class Figures:
    p50: float
    p99: float
    first: float
    delay: float
    delay99: float
    cpu: float
    a_second: float
    deltas_a_second: float
    cpu_a_delta: float


CASES = (
    Case("small", lambda chat: small(chat=chat), 400, floors=("bare hello", "bare proxy")),
    Case("200 KB", lambda chat: Conversation(190_000, 500, chat).asks(), 60),
    Case("1 MB, 4 KB new", lambda chat: Conversation(1_000_000, 4_000, chat).asks(), 24),
    Case("small, 20 deltas", lambda chat: small(chat=chat, deltas=20), 200),
    Case("200 KB, 20 deltas", lambda chat: Conversation(190_000, 500, chat, deltas=20).asks(), 40),
    Case("300 deltas at full speed", lambda chat: small(chat=chat, deltas=300), 12, at_once=16),
    Case("200 deltas, one every 10 ms", lambda chat: small(chat=chat, deltas=200, paced=True), 1),
    Case("the same, 16 streams", lambda chat: small(chat=chat, deltas=200, paced=True), 1, at_once=16),
    Case("the same, 64 streams", lambda chat: small(chat=chat, deltas=200, paced=True), 1, at_once=64),
    Case("small, 16 at once", lambda chat: small(chat=chat), 100, at_once=16, floors=("bare hello", "bare proxy")),
    Case("200 KB, 16 at once", lambda chat: Conversation(190_000, 500, chat).asks(), 12, at_once=16),
    Case("cache hit", lambda chat: repeated(chat=chat), 500, floors=("bare hello",)),
    Case("cache hits, 16 at once", lambda chat: repeated(chat=chat), 150, at_once=16, floors=("bare hello",)),
    Case("cache hit, 200 KB", lambda chat: repeated(chat=chat, size=190_000), 100, floors=("bare hello",)),
)


def figures(measured: Measured) -> Figures:
    requests = len(measured.seconds)
    return Figures(
        p50=median(measured.seconds),
        p99=_p99(measured.seconds),
        first=median(measured.first) if measured.first else 0.0,
        delay=median(measured.delays) if measured.delays else 0.0,
        delay99=_p99(measured.delays),
        cpu=measured.cpu / requests,
        a_second=requests / measured.took,
        deltas_a_second=measured.deltas / measured.took,
        cpu_a_delta=measured.cpu / measured.deltas if measured.deltas else 0.0,
    )


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[98] if len(values) > 1 else (values[0] if values else 0.0)


def ways(case: Case, servers: Sequence[Server]) -> Iterator[tuple[Server, str]]:
    for dialect, server in product(case.dialects, servers):
        path = server.chat if dialect == "chat" else server.native
        if path is None or (server.name.startswith("bare") and (server.name not in case.floors or dialect == "chat")):
            continue
        yield server, dialect


async def measure(server: Server, dialect: str, case: Case, share: float) -> Figures:
    path = server.chat if dialect == "chat" else server.native
    assert path is not None
    asks = [case.asks(dialect == "chat") for _ in range(case.at_once)]
    each = max(1, round(case.each * share))
    return figures(await run(server.url, path, dict(server.headers), asks, each=each, cpu=server.cpu))


def compare(
    cases: Sequence[Case], servers: Sequence[Server], peers: Sequence[Server], rounds: int, share: float
) -> None:
    """A peer whose answer is wrong is out of the case, and that is told."""
    for case in cases:
        found: dict[tuple[str, str], list[Figures]] = {}
        wrong: dict[str, WrongAnswerError] = {}
        for _ in range(rounds):
            for server, dialect in ways(case, [*servers, *peers]):
                if server.name in wrong:
                    continue
                try:
                    measured = uvloop.run(measure(server, dialect, case, share))
                except WrongAnswerError as error:
                    if server not in peers:
                        raise
                    wrong[server.name] = error
                    found.pop((server.name, dialect), None)
                else:
                    found.setdefault((server.name, dialect), []).append(measured)
        show(case, found)
        for name, error in wrong.items():
            print(f"\n{name} is out of it: {str(error)[:300]}", flush=True)


def show(case: Case, found: dict[tuple[str, str], list[Figures]]) -> None:
    direct = found["direct", "native"]
    print(f"\n### {case.name} ({case.each} x {case.at_once})\n")
    columns = ["p50 ms", "added", "p99 ms", "added", "CPU us", "a second"]
    streams, paced = any(one.first for one in direct), any(one.delay for one in direct)
    columns += ["first delta ms", "added", "deltas/s", "CPU us/delta"] if streams else []
    columns += ["delta's delay ms", "added", "p99", "added"] if paced else []
    print("| | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    for (name, dialect), rounds in found.items():

        def of(field: str, rounds: Sequence[Figures] = rounds) -> float:
            return median(getattr(one, field) for one in rounds)

        def added(field: str, rounds: Sequence[Figures] = rounds) -> float:
            return median(getattr(one, field) - getattr(base, field) for one, base in zip(rounds, direct, strict=True))

        cells = [f"{of('p50') * 1e3:.2f}", f"{added('p50') * 1e3:+.2f}", f"{of('p99') * 1e3:.2f}"]
        cells += [f"{added('p99') * 1e3:+.2f}", f"{of('cpu') * 1e6:,.0f}", f"{of('a_second'):,.0f}"]
        if streams:
            cells += [f"{of('first') * 1e3:.2f}", f"{added('first') * 1e3:+.2f}"]
            cells += [f"{of('deltas_a_second'):,.0f}", f"{of('cpu_a_delta') * 1e6:.1f}"]
        if paced:
            for field in ("delay", "delay99"):
                cells += [f"{of(field) * 1e3:.2f}", f"{added(field) * 1e3:+.2f}"]
        print(f"| {name}, {dialect} | " + " | ".join(cells) + " |", flush=True)


def show_start(claude_url: str, rounds: int) -> None:
    command = [sys.executable, "-m", "sidecar"]
    helped, ready, idle = [], [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([*command, "--help"], check=True, stdout=subprocess.DEVNULL)
        helped.append(time.perf_counter() - begin)
        with tempfile.TemporaryDirectory() as home, cgw(claude_url, home, 0) as server:
            ready.append(server.ready)
            time.sleep(SETTLE_SECONDS)
            idle.append((server.rss(), server.cpu()))
    print("\n### Start\n\n| | |\n|---|---:|")
    print(f"| `cgw --help` | {median(helped):.2f} s |")
    print(f"| ready, first start of a home | {median(ready):.2f} s |")
    print(f"| resident, idle | {median(rss for rss, _ in idle):.0f} MiB |")
    print(f"| CPU until then | {median(cpu for _, cpu in idle):.2f} s |", flush=True)


def show_growth(server: Server, requests: int) -> None:
    """What many requests leave in memory, each the beginning of a conversation of its own; then long ones at once."""
    print(f"\n### Memory\n\n| small requests | resident |\n|---|---:|\n| 0 | {server.rss():.0f} MiB |", flush=True)
    part = max(16, requests // 5)
    for number in range(1, 6):
        case = Case("", lambda chat: small(chat=chat), part // 16, at_once=16)
        uvloop.run(measure(server, "chat", case, 1.0))
        print(f"| {number * part:,} | {server.rss():.0f} MiB |", flush=True)
    long = Case("", lambda chat: Conversation(1_000_000, 4_000, chat).asks(), 6, at_once=12)
    uvloop.run(measure(server, "chat", long, 1.0))
    print(f"| and {long.at_once} conversations of 1 MB at once | {server.rss():.0f} MiB |", flush=True)
    time.sleep(SETTLE_SECONDS)
    print(f"| {SETTLE_SECONDS:.0f} s later | {server.rss():.0f} MiB |", flush=True)


def show_stalls(claude_url: str) -> None:
    print("\n### Longest stretch of work on the event loop, ms of CPU / on the clock\n", flush=True)
    subprocess.run([sys.executable, str(HERE / "stalls.py"), claude_url], check=True, preexec_fn=on_first_core)


def on_first_core() -> None:
    os.sched_setaffinity(0, {0})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests, one round")
    parser.add_argument("--rounds", type=int, help="3, or 1 with --quick")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="cases whose names begin so; also start, stalls and memory"
    )
    parser.add_argument("--requests", type=int, default=100_000, help="for what they leave in memory")
    parser.add_argument("--peers", action="store_true", help="also LiteLLM and Portkey, where they are installed")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else the servers would go on
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    share = 0.2 if arguments.quick else 1.0
    chosen = [case for case in CASES if _wanted(case.name, arguments.only)]
    cores = os.cpu_count() or 1
    if cores > 1:
        os.sched_setaffinity(0, {1})
    print(
        f"{platform.platform()}, {_processor()}, {cores} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d %H:%M')}"
    )
    with ExitStack() as stack:
        direct = stack.enter_context(claude(1))
        if _wanted("start", arguments.only):
            show_start(direct.url, rounds)
        floors = [stack.enter_context(floor(kind, direct.url, 0)) for kind in ("hello", "proxy")]
        home = stack.enter_context(tempfile.TemporaryDirectory())
        sidecar = stack.enter_context(cgw(direct.url, home, 0))
        peers = [stack.enter_context(peer) for peer in installed_peers(direct.url, 0)] if arguments.peers else []
        time.sleep(SETTLE_SECONDS)
        compare(chosen, [direct, *floors, sidecar], peers, rounds, share)
        if _wanted("stalls", arguments.only):
            show_stalls(direct.url)
        if _wanted("memory", arguments.only):
            show_growth(sidecar, arguments.requests // (20 if arguments.quick else 1))


def _wanted(name: str, only: Sequence[str] | None) -> bool:
    return only is None or any(name.startswith(one) for one in only)


def _processor() -> str:
    try:
        found = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        return found[0].partition(": ")[2]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
