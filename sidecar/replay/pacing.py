"""When each request of a replay is sent: as recorded, in even steps, or as people pause.

A replay has its own calendar. Within a session time passes as the pacing says. Sessions do not overlap: each begins a
day after the one before has ended, so that no prompt cache of one helps the next, except that a client's sessions that
were recorded one after another keep the time between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Final

from sidecar.replay.sessions import Session, is_typed

BEGIN: Final = 1_767_225_600.0
"""The first request of a replay: 2026-01-01, in seconds since the epoch."""
STEP: Final = 20.0
"""Seconds between two requests whose times are not known."""
DAY: Final = 86_400.0

HUMAN: Final = ((0.80, 1.0, 60.0), (0.15, 300.0, 3600.0), (0.05, 3600.0, 8 * 3600.0))
"""Share, shortest and longest pause (seconds) before a person's words."""

Pacing = Callable[[Session], list[float]]
"""Seconds between each request of a session and the one before; the first is 0."""


def as_recorded(session: Session) -> list[float]:
    """The recorded pauses, and `STEP` where one is not known."""
    times = [turn.at for turn in session.turns]
    return [
        0.0,
        *(STEP if before is None or after is None else max(0.0, after - before) for before, after in pairwise(times)),
    ]


def every(seconds: float) -> Pacing:
    """The same pause before each request."""
    return lambda session: [0.0] + [seconds] * (len(session.turns) - 1)


def human(seed: int) -> Pacing:
    """Pauses drawn from `HUMAN` before what a person typed, `STEP` elsewhere; the same for the same seed."""

    def pace(session: Session) -> list[float]:
        draw = Random(f"{seed}/{session.name}")  # noqa: S311  # a repeatable draw is the point
        return [0.0] + [_pause(draw) if is_typed(turn) else STEP for turn in session.turns[1:]]

    return pace


def calendar(sessions: Sequence[Session], pacing: Pacing) -> list[list[float]]:
    """The moment of every request of every session, in seconds since the epoch, never going back."""
    moments: list[list[float]] = []
    begin = BEGIN
    before: Session | None = None
    for session in sessions:
        if before is not None:
            begin = moments[-1][-1] + _between(before, session)
        times, now = [], begin
        for gap in pacing(session):
            now += gap
            times.append(round(now, 3))
        moments.append(times)
        before = session
    return moments


def _between(before: Session, after: Session) -> float:
    ended, began = before.turns[-1].at, after.turns[0].at
    if before.client != after.client or ended is None or began is None or began < ended:
        return DAY
    return began - ended


def _pause(draw: Random) -> float:
    chance = draw.random()
    for share, shortest, longest in HUMAN:
        if chance < share:
            return draw.uniform(shortest, longest)
        chance -= share
    return draw.uniform(*HUMAN[-1][1:])
