"""Projects with what they used and what is switched on for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy import case, func, select

from sidecar.config import Settings
from sidecar.exchange import Json
from sidecar.ledger.database import Database
from sidecar.ledger.money import PICOS_PER_MICRO
from sidecar.ledger.queries import EVERY_PROJECT, exact_sum, picos_in, within
from sidecar.ledger.schema import requests
from sidecar.projects.policy import SWITCHES
from sidecar.projects.project import Project

NOTHING: Final = {"requests": 0, "cost": 0, "saved": 0, "estimated": 0}


def projects(database: Database, known: Iterable[Project], settings: Settings, today: date) -> list[Json]:
    """Every project that there is. Blocks; raises LedgerUnavailableError."""
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    of_today, of_month = _used(database, midnight), _used(database, midnight.replace(day=1))
    return [
        told(project, settings, of_today.get(project.name, NOTHING), of_month.get(project.name, NOTHING))
        for project in known
    ]


def told(project: Project, settings: Settings, today: Mapping[str, int], month: Mapping[str, int]) -> Json:
    policy = project.policy
    return {
        "name": project.name,
        "key_last4": project.key_last4,
        "rpm": project.rpm if project.rpm is not None else settings.rate_limit_rpm,
        "tpm": project.tpm,
        "daily_budget_picos": _picos(project.daily_budget),
        "monthly_budget_picos": _picos(project.monthly_budget),
        "spent_today_picos": today["cost"],
        "spent_month_picos": month["cost"],
        "requests_today": today["requests"],
        "saved_month_picos": month["saved"],
        "estimated_today": today["estimated"],
        "estimated_month": month["estimated"],
        "switches": {setting: policy.switch(setting, getattr(settings, setting)) for setting in SWITCHES},
        "overridden": sorted(policy.switches),
    }


def switched(project: Project, switches: Mapping[str, bool | None]) -> Project:
    """With these of its own; None goes back to the gateway's. Raises ValueError for one that no project has."""
    own = {name: on for name, on in {**project.policy.switches, **switches}.items() if on is not None}
    return replace(project, policy=replace(project.policy, switches=own))


def _used(database: Database, since: datetime) -> dict[str, Mapping[str, int]]:
    query = within(
        select(
            requests.c.project,
            func.count().label("requests"),
            func.sum(case((requests.c.estimated, 1), else_=0)).label("estimated"),
            *exact_sum(requests.c.cost_picos, "cost"),
            *exact_sum(requests.c.baseline_picos, "baseline"),
        ).group_by(requests.c.project),
        EVERY_PROJECT,
        since,
        None,
    )
    with database.read() as connection:
        found = connection.execute(query).mappings().all()
    return {
        row["project"]: {
            "requests": row["requests"],
            "estimated": int(row["estimated"]),
            "cost": picos_in(row, "cost"),
            "saved": picos_in(row, "baseline") - picos_in(row, "cost"),
        }
        for row in found
    }


def _picos(micros: int | None) -> int | None:
    return None if micros is None else micros * PICOS_PER_MICRO
