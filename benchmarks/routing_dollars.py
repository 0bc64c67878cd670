"""What recorded sessions cost where cgw chooses the model, against Sonnet and against Opus for everything.

    python benchmarks/routing_dollars.py ../shared/traces [--jobs 2]

Each session is played three times through a real sidecar with the settings that users have: asking for `auto`, for
Sonnet and for Opus. All layers act in all three, so the difference is routing's alone; dollars are of the whole bill,
recorded answers included, as the simulated Claude bills it. No model is asked, so nothing here says what the answers
of another model would have been worth, nor that a smaller one would have needed the same number of turns.

Routing may cost more than always-Sonnet only by what went up to Opus: `up` is what the requests that Opus answered cost
above the same requests on Sonnet, `back` the same of those that came after them and went to another model again (its
cache is cold by then), and `rest` the difference of all others, which must not be dearer.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from sidecar.home import Home
from sidecar.replay import pacing
from sidecar.replay.player import Played, Player
from sidecar.replay.recordings import read
from sidecar.replay.results import MICRO

AUTO, SONNET, OPUS = ASKED = ("auto", "claude-sonnet-5-5", "claude-opus-5-5")
LINES: Final = ("haiku", "sonnet", "opus")
SLACK: Final = Decimal(1000)
"""Micro-dollars: rounding."""


@dataclass(slots=True)
class Bill:
    """Of a session, or of all. Money in micro-dollars."""

    name: str
    dollars: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(ASKED, Decimal(0)))
    answered: Counter[str] = field(default_factory=Counter)
    """Requests under `auto` by the line that answered."""
    up: Decimal = Decimal(0)
    back: Decimal = Decimal(0)
    rest: Decimal = Decimal(0)
    failed: int = 0
    _went_up: set[int] = field(default_factory=set)
    """Sessions in which Opus has answered."""

    def add(self, auto: Played, sonnet: Played, opus: Played) -> None:
        if not (auto.id and sonnet.id and opus.id):
            self.failed += 1
            return
        for asked, played in zip(ASKED, (auto, sonnet, opus), strict=True):
            self.dollars[asked] += cost(played)
        line, more = line_of(auto), cost(auto) - cost(sonnet)
        self.answered[line] += 1
        if line == "opus":
            self.up += more
            self._went_up.add(auto.session)
        elif auto.session in self._went_up:
            self.back += more
        else:
            self.rest += more

    @property
    def explained(self) -> bool:
        return self.rest <= SLACK


def cost(played: Played) -> Decimal:
    return played.spent + played.output


def line_of(played: Played) -> str:
    return next((line for line in LINES if line in played.model), "another")


def play(asked: str, recordings: Sequence[Path]) -> list[Played]:
    sessions, _ = read(recordings)
    with tempfile.TemporaryDirectory(prefix="cgw-routing-") as folder:
        player = Player(Home(Path(folder) / "home"), model=asked)
        asyncio.run(player.play(sessions, pacing.calendar(sessions, pacing.as_recorded)))
    return player.played


def bills(names: Sequence[str], played: Sequence[Sequence[Played]]) -> list[Bill]:
    """One a session, and all of them at the end."""
    each, whole = [Bill(name) for name in names], Bill("all")
    for auto, sonnet, opus in zip(*played, strict=True):
        each[auto.session].add(auto, sonnet, opus)
        whole.add(auto, sonnet, opus)
    return [*each, whole]


def show(lines: Sequence[Bill]) -> None:
    print("| session | haiku / sonnet / opus | auto $ | Sonnet $ | Opus $ | auto - Sonnet | up | back | rest | |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    for line in lines:
        answered = " / ".join(str(line.answered[name]) for name in LINES)
        auto, sonnet, opus = (line.dollars[asked] / MICRO for asked in ASKED)
        cells = [f"{auto:.4f}", f"{sonnet:.4f}", f"{opus:.4f}", f"{auto - sonnet:+.4f}"]
        cells += [*(f"{part / MICRO:+.4f}" for part in (line.up, line.back, line.rest))]
        mark = "" if line.explained else "**dearer without Opus**"
        print(f"| {line.name} | {answered} | " + " | ".join(cells) + f" | {mark} |")
    if failed := lines[-1].failed:
        print(f"\nNot answered in one of the three, and not counted: {failed} requests.")


def show_moves(names: Sequence[str], auto: Sequence[Played]) -> None:
    """Every request whose model is another one than the request's before it."""
    print("\nWhat moved, and why:\n")
    number, before = 0, None
    for played in auto:
        number = number + 1 if before is not None and before.session == played.session else 1
        begun = before is None or before.session != played.session
        if played.model and (line_of(played) != "sonnet" if begun or before is None else played.model != before.model):
            print(f"- {names[played.session]}, request {number}: {line_of(played)} ({played.reason})")
        before = played


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path, help="files or folders, as cgw replay takes them")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    arguments = parser.parse_args()
    names = [session.name for session in read(arguments.recordings)[0]]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, maxtasksperchild=1) as pool:
        played = pool.starmap(play, [(asked, arguments.recordings) for asked in ASKED], chunksize=1)
    show(bills(names, played))
    show_moves(names, played[0])


if __name__ == "__main__":
    main()
