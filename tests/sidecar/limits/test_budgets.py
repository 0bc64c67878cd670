"""Budgets: what was spent is the ledger's sum and this process's own, and never counts twice."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import GatewayError
from sidecar.ledger.money import PICOS_PER_USD, Spent
from sidecar.limits.budgets import Budgets
from sidecar.projects.project import Project

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
USD = 10**6
TEN_A_DAY = Project(name="p", daily_budget=10 * USD)


@dataclass
class Ledger:
    """Rows that reach the database when they are flushed, as the writer's do."""

    stored: Counter[tuple[str, date]] = field(default_factory=Counter)
    waiting: Counter[tuple[str, date]] = field(default_factory=Counter)
    estimated: set[tuple[str, date]] = field(default_factory=set)
    broken: bool = False
    stuck: bool = False
    now: datetime = NOON

    def flush(self) -> bool:
        if not self.stuck:
            self.stored += self.waiting
            self.waiting.clear()
        return not self.stuck

    def read(self, since: date) -> Mapping[tuple[str, date], Spent]:
        if self.broken:
            raise OSError("disk on fire")
        return {key: Spent(picos, key in self.estimated) for key, picos in self.stored.items() if key[1] >= since}

    def budgets(self) -> Budgets:
        return Budgets(self.read, flush=self.flush, clock=lambda: self.now)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


async def loaded(ledger: Ledger) -> Budgets:
    budgets = ledger.budgets()
    await budgets.refresh()
    await budgets.refresh()
    return budgets


def spent(budgets: Budgets, project: Project) -> dict[str, int]:
    return {state.period: state.spent for state in budgets.states(project)}


async def test_a_budget_that_is_used_up_is_a_429_until_midnight_utc(ledger: Ledger) -> None:
    budgets = await loaded(ledger)
    budgets.spend("p", NOON, 10 * PICOS_PER_USD - 1)
    await budgets.check(TEN_A_DAY)
    budgets.spend("p", NOON, 1)
    with pytest.raises(
        GatewayError, match=r"\$10\.00 of its daily budget of \$10\.00.*2026-11-23 00:00 UTC"
    ) as refusal:
        await budgets.check(TEN_A_DAY)
    assert (refusal.value.status, refusal.value.code) == (429, "budget_exceeded")
    assert refusal.value.retry_after == 12 * 3600
    ledger.now += timedelta(hours=12)
    await budgets.check(TEN_A_DAY)


async def test_a_monthly_budget_lasts_until_the_first(ledger: Ledger) -> None:
    ledger.stored["p", date(2026, 11, 1)] = PICOS_PER_USD
    ledger.stored["p", date(2026, 10, 31)] = PICOS_PER_USD
    project = Project(name="p", monthly_budget=USD)
    budgets = await loaded(ledger)
    with pytest.raises(GatewayError, match=r"monthly.*2026-12-01 00:00 UTC") as refusal:
        await budgets.check(project)
    assert refusal.value.retry_after == timedelta(days=8.5).total_seconds()
    ledger.now = datetime(2026, 12, 1, tzinfo=UTC)
    await budgets.check(project)


async def test_what_one_project_spends_is_nobody_elses(ledger: Ledger) -> None:
    budgets = await loaded(ledger)
    budgets.spend("q", NOON, 99 * PICOS_PER_USD)
    await budgets.check(TEN_A_DAY)


async def test_a_budget_of_nothing_lets_nothing_pass(ledger: Ledger) -> None:
    budgets = await loaded(ledger)
    with pytest.raises(GatewayError, match="budget"):
        await budgets.check(Project(name="p", daily_budget=0))


async def test_a_request_counts_on_the_day_it_came_in(ledger: Ledger) -> None:
    budgets = await loaded(ledger)
    budgets.spend("p", NOON - timedelta(days=1), 3)
    budgets.spend("p", NOON, 4)
    assert spent(budgets, Project(name="p", daily_budget=1, monthly_budget=1)) == {"daily": 4, "monthly": 7}


async def test_what_is_partly_an_estimate_is_marked_wherever_it_was_spent(ledger: Ledger) -> None:
    project = Project(name="p", daily_budget=USD, monthly_budget=10 * USD)
    elsewhere = ledger.now.date() - timedelta(days=2)
    budgets = await loaded(ledger)
    budgets.spend("p", NOON, PICOS_PER_USD // 2)
    assert [state.estimated for state in budgets.states(project)] == [False, False]
    ledger.stored["p", elsewhere] = PICOS_PER_USD
    ledger.estimated.add(("p", elsewhere))
    await (budgets := await loaded(ledger)).refresh()
    assert [state.estimated for state in budgets.states(project)] == [False, True]
    budgets.spend("p", NOON, PICOS_PER_USD, estimated=True)
    assert [state.estimated for state in budgets.states(project)] == [True, True]
    with pytest.raises(GatewayError, match=r"spent ~\$1\.00 of its daily budget of \$1\.00"):
        await budgets.check(project)


async def test_without_a_budget_nothing_is_read_and_nothing_waits(ledger: Ledger) -> None:
    await ledger.budgets().check(Project(name="p"))


async def test_a_project_with_a_budget_is_closed_while_the_ledger_was_never_read(ledger: Ledger) -> None:
    ledger.broken = True
    budgets = await loaded(ledger)
    with pytest.raises(GatewayError, match="could not be read") as refusal:
        await budgets.check(TEN_A_DAY)
    assert refusal.value.status == 503
    assert budgets.warning
    ledger.broken = False
    await budgets.refresh()
    await budgets.check(TEN_A_DAY)
    assert not budgets.warning


async def test_a_first_request_waits_for_the_first_reading(ledger: Ledger) -> None:
    budgets = ledger.budgets()
    waiting = asyncio.create_task(budgets.check(TEN_A_DAY))
    await asyncio.sleep(0)
    assert not waiting.done()
    await budgets.refresh()
    await waiting


async def test_the_first_reading_does_not_wait_for_rows_and_the_second_finds_them(ledger: Ledger) -> None:
    ledger.waiting["p", date(2026, 11, 1)] = 5  # left behind by a process that crashed
    budgets, project = ledger.budgets(), Project(name="p", monthly_budget=1)
    await budgets.refresh()
    assert spent(budgets, project) == {"monthly": 0}
    await budgets.refresh()
    await budgets.refresh()
    assert spent(budgets, project) == {"monthly": 5}


async def test_a_ledger_that_is_lost_later_leaves_what_was_known(ledger: Ledger) -> None:
    ledger.stored["p", NOON.date()] = 9 * PICOS_PER_USD
    budgets = await loaded(ledger)
    ledger.broken = True
    await budgets.refresh()
    await budgets.check(TEN_A_DAY)
    budgets.spend("p", NOON, PICOS_PER_USD)
    with pytest.raises(GatewayError, match="budget"):
        await budgets.check(TEN_A_DAY)


async def test_a_database_that_takes_no_rows_makes_nothing_count_twice_or_not_at_all(ledger: Ledger) -> None:
    budgets = await loaded(ledger)
    ledger.stuck = True
    for _ in range(3):
        budgets.spend("p", NOON, 2)
        ledger.waiting["p", NOON.date()] += 2
        await budgets.refresh()
    assert spent(budgets, TEN_A_DAY) == {"daily": 6}
    assert budgets.warning
    ledger.stuck = False
    await budgets.refresh()
    assert spent(budgets, TEN_A_DAY) == {"daily": 6}
    assert not budgets.warning


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("here"), st.integers(0, 40), st.integers(1, 9)),
        st.tuples(st.just("elsewhere"), st.integers(0, 40), st.integers(1, 9)),
        st.tuples(st.sampled_from(["refresh", "break", "mend", "stick", "unstick"]), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@given(EVENTS)
def test_after_a_reading_what_was_spent_is_exactly_the_ledgers_sum(events: list[tuple[str, int, int]]) -> None:
    ledger, total = Ledger(), Counter[date]()

    async def play() -> Budgets:
        budgets = await loaded(ledger)
        for what, days_ago, picos in events:
            at = NOON - timedelta(days=min(days_ago, 1))
            if what in {"here", "elsewhere"}:
                total[at.date()] += picos
            match what:
                case "here":
                    budgets.spend("p", at, picos)
                    ledger.waiting["p", at.date()] += picos
                case "elsewhere":
                    ledger.stored["p", at.date()] += picos
                case "refresh":
                    await budgets.refresh()
                case "break" | "mend":
                    ledger.broken = what == "break"
                case _:
                    ledger.stuck = what == "stick"
        ledger.broken = ledger.stuck = False
        await budgets.refresh()
        return budgets

    budgets = asyncio.run(play())
    assert spent(budgets, Project(name="p", daily_budget=1, monthly_budget=1)) == {
        "daily": total[NOON.date()],
        "monthly": total.total(),
    }


async def test_near_the_end_answers_warn_and_the_log_hears_of_it_once_a_day(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    budgets = await loaded(ledger)
    budgets.spend("p", NOON, 8 * PICOS_PER_USD - 1)
    assert budgets.warning_for(TEN_A_DAY) == ""
    budgets.spend("p", NOON, 1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert budgets.warning_for(TEN_A_DAY) == "spent $8.00 of its daily budget of $10.00"
    assert len(caplog.records) == 1
    ledger.now += timedelta(days=1)
    budgets.spend("p", ledger.now, 9 * PICOS_PER_USD)
    budgets.warning_for(TEN_A_DAY)
    assert len(caplog.records) == 2


async def test_what_others_spend_is_known_after_a_while(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.limits.budgets.REFRESH_SECONDS", 0.001)
    budgets = ledger.budgets()
    running = asyncio.create_task(budgets.run())
    while not budgets.up:  # noqa: ASYNC110  # nothing tells of it
        await asyncio.sleep(0.001)
    ledger.stored["p", NOON.date()] += 10 * PICOS_PER_USD
    async with asyncio.timeout(30):
        while not budgets.states(TEN_A_DAY)[0].exhausted:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.001)
    running.cancel()
