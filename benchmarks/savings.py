"""What the layers save on recorded sessions, against Anthropic's automatic caching and against plain sending.

    python benchmarks/savings.py ../shared/traces [--only fine idle] [--jobs 2]

Every figure is of what the prompts cost, as the simulator bills them; `cgw replay` says the same of one run. Each row
of a table names what it should reach. Every run plays all sessions through a sidecar of its own, in a process of its
own, and takes about a minute of one core.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from sidecar.commands.replay import LOSSLESS
from sidecar.home import Home
from sidecar.replay import pacing
from sidecar.replay.baselines import Cache, input_cost
from sidecar.replay.player import Arrived, Played, Player
from sidecar.replay.recordings import read
from sidecar.replay.results import MICRO, Sums, by_client, by_session
from sidecar.replay.sessions import Session

Settings = Mapping[str, object]
Restart = Callable[[int, int], Settings | None]

NO_OTHERS: Settings = {
    **LOSSLESS,
    "strip_ide_boilerplate": False,
    "enforce_diff_first": False,
    "prefix_repair": "off",
}
FIVE: Settings = {"cache_ttl": "5m"}
FINE: Settings = {"reference_min_chars": 200}
IDLE: Settings = {"keep_warm": True}

CHANGES: tuple[Settings, ...] = (
    {"reference_min_chars": 200, "cache_ttl": "1h"},
    {"enable_file_hash_cache": False, "strip_ide_boilerplate": False, "cache_ttl": "5m"},
    {"enable_anthropic_cache_control": False, "prefix_repair": "all"},
    {"reference_min_chars": 400, "strip_ide_boilerplate": False, "enforce_diff_first": False},
)
"""Over lossless settings: what a user might change in mid-conversation."""

SEEDS = (1, 2, 3)
SLACK = Decimal(1000)
"""A session may be dearer by so many micro-dollars: rounding."""

HEAD = "\n".join(
    f"{number}. Rule {number} of the house: look before you change, say what you did, and leave the rest as it was."
    for number in range(1, 56)
)
"""A system prompt of about 2,000 tokens."""


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    target: str = ""
    reached: bool | None = None


@dataclass(frozen=True)
class Outcome:
    sessions: Sequence[Session]
    played: list[Played]
    best: Decimal
    """What the best lifetimes would have cost, in micro-dollars."""
    still: Decimal = Decimal(0)
    """What it cost with a clock that stands still."""

    @property
    def whole(self) -> Sums:
        return by_client(self.sessions, self.played)[-1]


@dataclass(frozen=True)
class Run:
    """What is played, and which rows it gives."""

    title: str
    settings: Settings
    rows: Callable[[Outcome], list[Row]]
    pace: pacing.Pacing = pacing.as_recorded
    restart: Restart = lambda session, turn: None
    clock: bool = False
    """Each session gets a system prompt with a clock, and is played once more with one that stands still."""


# --- the rows


def percents(what: str, value: float, least: float | None = None) -> Row:
    reached = None if least is None else value >= least
    return Row(what, f"{value:.1f} %", "" if least is None else f">= {least} %", reached)


def saved(**least: float) -> Callable[[Outcome], list[Row]]:
    """Input spend against automatic caching, with the least that is wanted (`whole`, `median`, `cline`, `claude_code`,
    `plain`)."""

    def rows(outcome: Outcome) -> list[Row]:
        *clients, whole = by_client(outcome.sessions, outcome.played)
        each = by_session(outcome.sessions, outcome.played)[:-1]
        worst = max(each, key=lambda one: (one.spent - one.automatic) / one.automatic)
        dearer = any(one.spent - one.automatic > max(SLACK, one.automatic / 200) for one in each)
        return [
            percents("all sessions", whole.against_automatic, least.get("whole")),
            percents("median session", median(one.against_automatic for one in each), least.get("median")),
            *(percents(f"  {one.key}", one.against_automatic, least.get(one.key.replace("-", "_"))) for one in clients),
            percents("against plain", whole.against_plain, least.get("plain")),
            Row(
                "worst session",
                f"{worst.against_automatic:.2f} %, ${(worst.spent - worst.automatic) / MICRO:.4f}",
                "0.5 % or $0.001",
                not dearer,
            ),
            *harmless(outcome),
        ]

    return rows


def harmless(outcome: Outcome) -> list[Row]:
    whole = outcome.whole
    return [
        Row("characters lost", f"{whole.lost:,}", "0", whole.lost == 0),
        Row("prefix breaks", f"{whole.breaks:,}", "0", whole.breaks == 0),
        Row("requests not answered", f"{whole.failed:,}", "0", whole.failed == 0),
        Row("cgw's own time, median / 95th", f"{whole.overhead_median:.1f} / {whole.overhead_p95:.1f} ms"),
    ]


def as_users_have_it(outcome: Outcome) -> list[Row]:
    """Size limits cut, and say so: what is lost is no fault."""
    whole = outcome.whole
    rows = [row for row in saved()(outcome) if row.what != "characters lost"]
    cut = [Row("characters cut", f"{whole.lost:,}"), Row("rewritten cold", f"{whole.rewritten_cold:,}")]
    layers = [Row(f"  {layer}, of plain", f"${amount / MICRO:.4f}") for layer, amount in sorted(whole.saved.items())]
    return [*rows, *cut, *layers]


def against_hindsight(outcome: Outcome) -> list[Row]:
    whole = outcome.whole
    dearer = float(100 * (whole.spent - outcome.best) / outcome.best)
    return [
        percents("all sessions", whole.against_automatic),
        Row("dearer than hindsight", f"{dearer:.1f} %", "<= 5 %", dearer <= 5),
    ]


def with_a_clock(outcome: Outcome) -> list[Row]:
    whole = outcome.whole
    dearer = float(100 * (whole.spent - outcome.still) / outcome.still)
    return [
        Row("with cgw", f"${whole.spent / MICRO:.4f}"),
        Row("with cgw, the clock standing still", f"${outcome.still / MICRO:.4f}"),
        Row("dearer for the clock", f"{dearer:.1f} %", "<= 2 %", dearer <= 2),
        Row("with automatic caching", f"${whole.automatic / MICRO:.4f}"),
        *harmless(outcome),
    ]


# --- the runs


def changing(session: int, turn: int) -> Settings | None:
    """A restart every eight turns, each with other settings."""
    return CHANGES[(session + turn // 8) % len(CHANGES)] if turn % 8 == 4 else None


RUNS: dict[str, Run] = {
    "references": Run("References alone, default grain", {**NO_OTHERS, **FIVE}, saved(whole=14.5)),
    "references-ttl": Run("References and TTL rule, default grain", NO_OTHERS, saved(whole=26.5, plain=91.5)),
    "fine": Run("References alone, from 200 characters", {**NO_OTHERS, **FINE, **FIVE}, saved(whole=15.5, cline=43)),
    "fine-ttl": Run(
        "References and TTL rule, from 200 characters",
        {**NO_OTHERS, **FINE},
        saved(whole=28, median=7, claude_code=25, plain=91.5),
    ),
    "idle": Run(
        "References, TTL rule and idle mark, from 200 characters", {**NO_OTHERS, **FINE, **IDLE}, saved(whole=31)
    ),
    "lossless": Run("All layers, cgw replay --lossless", LOSSLESS, saved(whole=26.5, plain=91.5)),
    "lossless-fine": Run("All layers, from 200 characters", {**LOSSLESS, **FINE}, saved(whole=28, plain=91.5)),
    "default": Run("All layers, as users have it", {}, as_users_have_it),
    **{
        f"human-{seed}": Run(
            f"TTL rule under human pacing, seed {seed}", NO_OTHERS, against_hindsight, pace=pacing.human(seed)
        )
        for seed in SEEDS
    },
    "hindsight": Run("TTL rule under recorded pacing", NO_OTHERS, against_hindsight),
    "clock": Run("A minute clock in the system prompt", LOSSLESS, with_a_clock, clock=True),
    "changes": Run("Restarts with other settings in mid-conversation", LOSSLESS, harmless, restart=changing),
}


# --- playing


class Hindsight:
    """Bills requests as they arrived, with the best lifetimes: an hour exactly before a pause that needs it."""

    def __init__(self) -> None:
        self.cost = Decimal(0)
        """Micro-dollars."""
        self._cache = Cache()
        self._session = -1
        self._end = 0
        """The block that the request before ended with."""

    def __call__(self, arrived: Arrived) -> None:
        if arrived.played.session != self._session:
            self._session, self._end = arrived.played.session, 0
        newest = next(index for index in reversed(range(len(arrived.blocks))) if arrived.blocks[index].cacheable)
        ttl = "1h" if 300 < arrived.pause <= 3600 else "5m"
        # Back to what was written last, in steps over which an entry is found.
        between = range(newest - 19, self._end, -19)[:2]
        marks = dict.fromkeys((*between, *([self._end] if self._end else []), newest), ttl)
        reading = self._cache.marked(arrived.request, arrived.blocks, marks, arrived.model, arrived.at)
        self.cost += input_cost(arrived.model, reading)
        self._end = newest


def with_clock(session: Session, moments: Sequence[float], *, goes: bool) -> Session:
    """The session with a system prompt that ends in the time of day."""
    turns = []
    for turn, at in zip(session.turns, moments, strict=True):
        now = datetime.fromtimestamp(at if goes else moments[0], UTC)
        messages = turn.body["messages"]
        own = messages[0]["content"] if messages[0]["role"] == "system" else ""
        system: dict[str, Any] = {"role": "system", "content": f"{HEAD}\nCurrent time: {now:%Y-%m-%d %H:%M} UTC\n{own}"}
        rest = messages[1:] if messages[0]["role"] == "system" else messages
        turns.append(replace(turn, body={**turn.body, "messages": [system, *rest]}))
    return replace(session, turns=turns)


def measure(name: str, recordings: list[Path]) -> tuple[list[Row], float]:
    """Rows, and seconds of CPU."""
    run, (sessions, _) = RUNS[name], read(recordings)
    calendar = pacing.calendar(sessions, run.pace)
    if not run.clock:
        outcome = play(run, sessions, calendar)
    else:
        going, still = (
            [with_clock(session, moments, goes=goes) for session, moments in zip(sessions, calendar, strict=True)]
            for goes in (True, False)
        )
        outcome = replace(play(run, going, calendar), still=play(run, still, calendar).whole.spent)
    failed = [Row("the first refusal", one.error) for one in outcome.played if one.error][:1]
    return [*run.rows(outcome), *failed], time.process_time()


def play(run: Run, sessions: Sequence[Session], calendar: Sequence[Sequence[float]]) -> Outcome:
    hindsight = Hindsight()
    with tempfile.TemporaryDirectory(prefix="cgw-benchmark-") as folder:
        player = Player(Home(Path(folder) / "home"), settings=run.settings, restart=run.restart, arrived=hindsight)
        asyncio.run(player.play(sessions, calendar))
    return Outcome(sessions, player.played, hindsight.cost)


def show(name: str, rows: list[Row], seconds: float) -> None:
    print(f"\n### {RUNS[name].title} (`--only {name}`, {seconds:.0f} s of CPU)\n")
    print("| | measured | should be | |\n|---|---|---|---|")
    for row in rows:
        mark = {True: "reached", False: "**missed**", None: ""}[row.reached]
        print(f"| {row.what} | {row.measured} | {row.target} | {mark} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path, help="files or folders, as cgw replay takes them")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=[*RUNS], metavar="RUN", help=", ".join(RUNS))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    arguments = parser.parse_args()
    print(
        f"{platform.platform()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.jobs, maxtasksperchild=1) as pool:
        waiting = [(name, pool.apply_async(measure, (name, arguments.recordings))) for name in arguments.only]
        for name, result in waiting:
            show(name, *result.get())


if __name__ == "__main__":
    main()
