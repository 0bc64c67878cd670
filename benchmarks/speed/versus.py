"""This checkout of cgw beside another one, both at once on one core, asked in turns: what the machine does hits both.

    python benchmarks/speed/versus.py CHECKOUT [--only NAME ...] [--rounds 12]

CHECKOUT has a `.venv` that `make install` made. Prints what this one takes of the other one's CPU, p50 and requests a
second, each the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from asks import Case, Conversation, repeated, small
from load import Ask, run
from servers import SETTLE_SECONDS, Server, cgw, claude

CASES = (
    Case("small", lambda chat: small(chat=chat), 200),
    Case("300 deltas", lambda chat: small(chat=chat, deltas=300), 60),
    Case("200 KB", lambda chat: Conversation(190_000, 500, chat).asks(), 40),
    Case("1 MB", lambda chat: Conversation(1_000_000, 4_000, chat).asks(), 16),
    Case("cache hit", lambda chat: repeated(chat=chat), 400),
)


@dataclass
class Rounds:
    """One server's: seconds of CPU and the middle answer's, and requests a second."""

    server: Server
    asks: Iterator[Ask]
    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    a_second: list[float] = field(default_factory=list)

    def play(self, path: str, each: int, *, keep: bool = True) -> None:
        server = self.server
        measured = asyncio.run(run(server.url, path, dict(server.headers), [self.asks], each=each, cpu=server.cpu))
        if keep:
            count = len(measured.seconds)
            self.cpu.append(measured.cpu / count)
            self.p50.append(median(measured.seconds))
            self.a_second.append(count / measured.took)


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("checkout", type=Path)
    told.add_argument("--only", nargs="+", metavar="NAME", default=[case.name for case in CASES])
    told.add_argument("--rounds", type=int, default=12)
    asked = told.parse_args()
    python = asked.checkout / ".venv" / "bin" / "python"
    if not python.exists():
        told.error(f"{python} is not there: run `make install` in that checkout.")
    print("| | dialect | CPU | p50 | a second |\n|---|---|---:|---:|---:|")
    for case in (case for case in CASES if case.name in asked.only):
        for chat in (False, True):
            ratios = compared(case, chat=chat, other=str(python), rounds=asked.rounds)
            print(
                f"| {case.name} | {'chat' if chat else 'messages'} |", " | ".join(f"{one:.2f}" for one in ratios), "|"
            )


def compared(case: Case, *, chat: bool, other: str, rounds: int) -> tuple[float, float, float]:
    with (
        tempfile.TemporaryDirectory() as one_home,
        tempfile.TemporaryDirectory() as other_home,
        claude(1) as upstream,
        cgw(upstream.url, one_home, 0) as one,
        cgw(upstream.url, other_home, 0, python=other) as another,
    ):
        here, there = (Rounds(server, case.asks(chat)) for server in (one, another))
        path = (one.chat if chat else one.native) or ""
        for side in (here, there):
            side.play(path, max(5, case.each // 2), keep=False)
        time.sleep(SETTLE_SECONDS)
        for number in range(rounds):
            for side in (here, there) if number % 2 else (there, here):
                side.play(path, case.each)
    return _ratio(here.cpu, there.cpu), _ratio(here.p50, there.p50), _ratio(here.a_second, there.a_second)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return median(one / other for one, other in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    sys.exit(main())
