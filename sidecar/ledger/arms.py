"""The two arms of the hold-out, conversation by conversation: what is compared when the layers are measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from sidecar.ledger.database import Database
from sidecar.ledger.queries import ProjectScope, exact_sum, picos_in, within
from sidecar.ledger.rows import moment_of
from sidecar.ledger.schema import requests


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation's answered requests and their money, in pico-dollars."""

    requests: int
    cost_picos: int
    baseline_picos: int


@dataclass(frozen=True, slots=True)
class Arms:
    """What was answered between the first and the last request of the hold-out: outside of it there was none, and the
    world may have been another.
    """

    layers: tuple[Conversation, ...] = ()
    holdout: tuple[Conversation, ...] = ()
    since: datetime | None = None
    """The first request of the hold-out; None where there was none."""
    until: datetime | None = None
    """The last one."""
    in_both: int = 0
    """Conversations left out because the setting changed under them: they belong to neither arm."""


def arms(
    database: Database, *, project: ProjectScope, since: datetime | None = None, until: datetime | None = None
) -> Arms:
    """The arms of the range. Requests that failed cost nothing in either and are left out, as are those of no known
    conversation. Raises as `queries.usage`.
    """
    with database.read() as connection:
        ends = select(func.min(requests.c.time_us), func.max(requests.c.time_us)).where(requests.c.holdout)
        first, last = connection.execute(_answered(within(ends, project, since, until))).one()
        if first is None:
            return Arms()
        query = select(
            requests.c.project,
            requests.c.conversation,
            requests.c.holdout,
            func.count().label("requests"),
            *exact_sum(requests.c.cost_picos, "cost"),
            *exact_sum(requests.c.baseline_picos, "baseline"),
        ).where(requests.c.time_us.between(first, last))
        grouped = _answered(within(query, project, None, None)).group_by(
            requests.c.project, requests.c.conversation, requests.c.holdout
        )
        found = connection.execute(grouped).mappings().all()
    by_name: dict[tuple[str, str], dict[bool, Conversation]] = {}
    for row in found:
        conversation = Conversation(int(row["requests"]), picos_in(row, "cost"), picos_in(row, "baseline"))
        by_name.setdefault((row["project"], row["conversation"]), {})[bool(row["holdout"])] = conversation
    return Arms(
        layers=tuple(by_arm[False] for by_arm in by_name.values() if list(by_arm) == [False]),
        holdout=tuple(by_arm[True] for by_arm in by_name.values() if list(by_arm) == [True]),
        since=moment_of(first),
        until=moment_of(last),
        in_both=sum(len(by_arm) == 2 for by_arm in by_name.values()),
    )


def _answered[Rows: Select[Any]](query: Rows) -> Rows:
    return query.where(requests.c.status < 400, requests.c.conversation != "")
