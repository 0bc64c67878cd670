"""What each project spent today and this month, against what it may.

Known without asking a database: what the ledger says, read in the background, plus what this process spent since. The
ledger is read again every `REFRESH_SECONDS`, so that what others spend counts too: a team at its PostgreSQL, and the
answers that an earlier process, or one set of settings before, still gives. Days and months are UTC. A budget is
checked before a request and charged after it, so that answers in flight may carry it beyond its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from sidecar.errors import GatewayError
from sidecar.ledger.money import PICOS_PER_MICRO, Spent, dollars
from sidecar.projects.project import Project

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 5.0
"""Until a ledger that could not be read is asked again."""
PATIENCE_SECONDS: Final = 5.0
"""How long the first requests of a project with a budget wait for the first reading."""

Period = Literal["daily", "monthly"]
Day = tuple[str, date]
"""A project, and a day of UTC."""
Spending = Mapping[Day, Spent]
ReadSpending = Callable[[date], Spending]
"""What the ledger has from that day on. Blocks; raises whatever its database does."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One budget and what is gone of it, in pico-dollars."""

    period: Period
    budget: int
    spent: int
    estimated: bool = False
    """A part of what was spent is an estimate."""

    @property
    def exhausted(self) -> bool:
        return self.spent >= self.budget

    @property
    def percent(self) -> int:
        return 100 if self.budget == 0 else 100 * self.spent // self.budget

    def __str__(self) -> str:
        spent = dollars(self.spent, estimated=self.estimated)
        return f"{spent} of its {self.period} budget of {dollars(self.budget)}"


class Budgets:
    def __init__(
        self,
        read: ReadSpending,
        *,
        flush: Callable[[], bool],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`flush` brings the rows of this process into the ledger, so that none counts twice, and is False when it
        could not; it blocks."""
        self._read = read
        self._flush = flush
        self._clock = clock
        self._ledger: Spending = {}
        self._here: Counter[Day] = Counter()
        """Pico-dollars that this process spent and `_ledger` does not have yet."""
        self._estimated: set[Day] = set()
        """Days on which some of that was an estimate."""
        self._sums: dict[str, tuple[Spent, Spent]] = {}
        self._summed_on: date | None = None
        self._loaded = False
        self._settled = False
        """Read once with every row of this process and of those before it."""
        self._tried = asyncio.Event()
        self._told: set[tuple[str, Period, str, date]] = set()
        self.warning = ""
        """One sentence for everybody while the ledger cannot be read; the reason is in the log."""

    @property
    def up(self) -> bool:
        """Whether the ledger was read."""
        return self._loaded

    async def run(self) -> None:
        """Read the ledger again and again, until cancelled."""
        while True:
            await self.refresh()
            if self.warning:
                await asyncio.sleep(RETRY_SECONDS)
            elif self._settled:
                await asyncio.sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Take over what the ledger says now; when it says nothing, what was known goes on counting.

        The first reading does not wait for rows to be flushed, since requests wait for it; the next one makes it exact.
        """
        today = self._clock().date()
        month, yesterday = today.replace(day=1), today - timedelta(days=1)
        since = yesterday if self._settled else min(month, yesterday)  # a month of a team's rows is read twice only
        counted = Counter(self._here)
        try:
            flushed = self._loaded and await asyncio.to_thread(self._flush)
            if flushed or not self._loaded:
                found = await asyncio.to_thread(self._read, since)
                earlier = {key: spent for key, spent in self._ledger.items() if month <= key[1] < since}
                self._ledger = earlier | dict(found)
            if flushed:
                self._here.subtract(counted)
                self._estimated = {key for key in self._estimated if key[1] >= month}
                self._settled = True
            self._sums.clear()
            self._note("" if flushed or not self._loaded else "the database does not take the newest rows")
            self._loaded = True
        except Exception as error:  # noqa: BLE001 -- whatever a driver throws, what is known goes on counting
            self._note(str(error) or type(error).__name__)
        self._tried.set()

    def spend(self, project: str, at: datetime, picos: int, *, estimated: bool = False) -> None:
        """Charge what a request cost that came in at `at`."""
        day = project, at.astimezone(UTC).date()
        self._here[day] += picos
        if estimated:
            self._estimated.add(day)
        self._sums.pop(project, None)

    async def check(self, project: Project) -> None:
        """Raises GatewayError: 429 when a budget is used up, 503 when what was spent could never be read."""
        if not project.has_budget:
            return
        if not self._loaded:
            await self._first_reading(project)
        now = self._clock()
        for state in self.states(project):
            if state.exhausted:
                self._tell_once(project, state, "exhausted")
                raise _used_up(project, state, now)

    def states(self, project: Project) -> list[BudgetState]:
        """The project's budgets as they stand."""
        if not project.has_budget:
            return []
        today, month = self._spent(project.name)
        limits: list[tuple[Period, int | None, Spent]] = [
            ("daily", project.daily_budget, today),
            ("monthly", project.monthly_budget, month),
        ]
        return [
            BudgetState(period, micros * PICOS_PER_MICRO, spent.picos, spent.estimated)
            for period, micros, spent in limits
            if micros is not None
        ]

    def warning_for(self, project: Project) -> str:
        """What `X-Gateway-Budget-Warning` says: empty until a budget reaches its threshold. The log hears of it
        once a day."""
        if not project.has_budget:
            return ""
        near = [state for state in self.states(project) if state.percent >= project.warn_percent]
        for state in near:
            self._tell_once(project, state, "near")
        return "; ".join(f"spent {state}" for state in near)

    def _spent(self, project: str) -> tuple[Spent, Spent]:
        """Today and this month, summed once after each change."""
        today = self._clock().date()
        if today != self._summed_on:
            self._summed_on = today
            self._sums.clear()
        if project not in self._sums:
            keys = [(project, today.replace(day=day)) for day in range(1, today.day + 1)]
            days = [
                Spent.together((self._ledger.get(key, Spent()), Spent(self._here[key], key in self._estimated)))
                for key in keys
            ]
            self._sums[project] = days[-1], Spent.together(days)
        return self._sums[project]

    async def _first_reading(self, project: Project) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), PATIENCE_SECONDS)
        if not self._loaded:
            raise GatewayError(
                "api_error",
                f"Project `{project.name}` has a budget, and what it spent could not be read yet; cgw's log says why.",
                status=503,
                code="budget_unknown",
                retry_after=RETRY_SECONDS,
            )

    def _tell_once(self, project: Project, state: BudgetState, stage: str) -> None:
        told = (project.name, state.period, stage, self._clock().date())
        if told not in self._told:
            self._told = {row for row in self._told if row[-1] == told[-1]} | {told}
            log.warning("Project `%s` has spent %s.", project.name, state)

    def _note(self, reason: str) -> None:
        if reason and not self.warning:
            log.warning("What projects spent cannot be read: %s", reason)
        elif self.warning and not reason:
            log.warning("What projects spent can be read again.")
        self.warning = "What projects spent cannot be read: budgets go on from what is known." if reason else ""


def _used_up(project: Project, state: BudgetState, now: datetime) -> GatewayError:
    again = _next_start(state.period, now)
    return GatewayError(
        "rate_limit_error",
        f"Project `{project.name}` has spent {state}. It goes on at {again:%Y-%m-%d} 00:00 UTC, or after "
        f"`cgw projects set {project.name} --{state.period}-budget USD`.",
        code="budget_exceeded",
        retry_after=(again - now).total_seconds(),
    )


def _next_start(period: Period, now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "daily":
        return midnight + timedelta(days=1)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
