"""Conversations as the ledger knows them, and single requests. Everything here blocks, and raises
LedgerUnavailableError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, case, func, select, tuple_

from sidecar.exchange import Json
from sidecar.feed.rows import row_of_ledger
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT, ProjectScope, exact_sum, picos_in, within
from sidecar.ledger.schema import requests, row_of, savings

GROWTH: Final = 40
"""Prompt sizes of a conversation that are shown, the newest."""
TURNS: Final = 500
MICROSECONDS: Final = 1_000_000

HasBody = Callable[[str], bool]

_NEWEST: Final = func.max(requests.c.time_us)
_NEWEST_FIRST: Final = (requests.c.time_us.desc(), requests.c.id.desc())
_PROMPT: Final = (
    requests.c.input_tokens
    + requests.c.cache_read_tokens
    + requests.c.cache_write_5m_tokens
    + requests.c.cache_write_1h_tokens
)


def conversations(database: Database, limit: int) -> list[Json]:
    """The newest, each with the growth of its prompt and what its cache did."""
    with database.read() as connection:
        names = connection.execute(_names().limit(limit)).scalars().all()
        found = connection.execute(_grouped().where(requests.c.conversation.in_(names))).mappings().all()
        growth = _growth(connection, names)
    return [_conversation(row, growth.get(row["conversation"], [])) for row in found]


def conversation(database: Database, name: str, has_body: HasBody) -> Json | None:
    """One of them with its turns, oldest first; None for one that the ledger does not know."""
    with database.read() as connection:
        row = connection.execute(_grouped().where(requests.c.conversation == name)).mappings().one_or_none()
        if row is None:
            return None
        growth = _growth(connection, [name])
        newest = requests.select().where(requests.c.conversation == name).order_by(*_NEWEST_FIRST)
        turns = _rows(connection, newest.limit(TURNS), has_body)
    return {"conversation": _conversation(row, growth.get(name, [])), "turns": turns[::-1]}


def newest_requests(
    database: Database,
    *,
    limit: int,
    before: str | None = None,
    conversation: str | None = None,
    project: ProjectScope = EVERY_PROJECT,
    since: datetime | None = None,
    until: datetime | None = None,
    has_body: HasBody,
) -> list[Json]:
    """Rows, newest first; `before` is the id of the last one on the page before."""
    query = within(requests.select(), project, since, until)
    if conversation is not None:
        query = query.where(requests.c.conversation == conversation)
    if before is not None:
        moment = select(requests.c.time_us).where(requests.c.id == before).scalar_subquery()
        query = query.where(tuple_(requests.c.time_us, requests.c.id) < tuple_(moment, before))
    with database.read() as connection:
        return _rows(connection, query.order_by(*_NEWEST_FIRST).limit(limit), has_body)


def _names() -> Select[Any]:
    """Newest first. The index alone tells them, so that only the rows of those that are shown are read."""
    return _by_conversation(select(requests.c.conversation))


def _grouped() -> Select[Any]:
    return _by_conversation(
        select(
            requests.c.conversation,
            func.max(requests.c.project).label("project"),
            func.max(requests.c.client).label("client"),
            func.max(requests.c.model).label("model"),
            func.count().label("turns"),
            func.min(requests.c.time_us).label("first_us"),
            _NEWEST.label("last_us"),
            func.sum(case((requests.c.cache_read_tokens > 0, 1), else_=0)).label("reads"),
            func.sum(case((requests.c.miss_cause.is_not(None), 1), else_=0)).label("misses"),
            func.sum(case((requests.c.miss_ours, 1), else_=0)).label("ours"),
            func.sum(requests.c.miss_picos).label("miss_picos"),
            func.sum(case((requests.c.estimated, 1), else_=0)).label("estimated"),
            *exact_sum(requests.c.cost_picos, "cost"),
            *exact_sum(requests.c.baseline_picos, "baseline"),
        )
    )


def _by_conversation(query: Select[Any]) -> Select[Any]:
    named = query.where(requests.c.conversation != "").group_by(requests.c.conversation)
    return named.order_by(_NEWEST.desc(), requests.c.conversation)


def _conversation(row: RowMapping, growth: Sequence[int]) -> Json:
    cost, baseline = picos_in(row, "cost"), picos_in(row, "baseline")
    return {
        "conversation": row["conversation"],
        "project": row["project"],
        "client": row["client"],
        "model": row["model"],
        "turns": row["turns"],
        "first": row["first_us"] / MICROSECONDS,
        "last": row["last_us"] / MICROSECONDS,
        "prompt_tokens": growth[-1] if growth else 0,
        "growth": list(growth),
        "cost_picos": cost,
        "saved_picos": baseline - cost,
        "estimated": int(row["estimated"]),
        "reads": int(row["reads"]),
        "misses": int(row["misses"]),
        "ours": int(row["ours"]),
        "miss_picos": int(row["miss_picos"]),
        "title": None,
    }


def _growth(connection: Connection, names: Sequence[str]) -> dict[str, list[int]]:
    """Prompt sizes in tokens, oldest first, of requests that Claude counted."""
    place = func.row_number().over(partition_by=requests.c.conversation, order_by=requests.c.time_us.desc())
    counted = (
        select(requests.c.conversation, requests.c.time_us, _PROMPT.label("prompt"), place.label("place"))
        .where(requests.c.conversation.in_(names), _PROMPT > 0)
        .subquery()
    )
    newest = select(counted.c.conversation, counted.c.prompt).where(counted.c.place <= GROWTH)
    growth: dict[str, list[int]] = {}
    for name, prompt in connection.execute(newest.order_by(counted.c.time_us)).all():
        growth.setdefault(name, []).append(int(prompt))
    return growth


def _rows(connection: Connection, query: Select[Any], has_body: HasBody) -> list[Json]:
    records = connection.execute(query).all()
    ids = [record[0] for record in records]
    saved: dict[str, dict[str, int]] = {}
    for request_id, layer, picos in connection.execute(select(savings).where(savings.c.request_id.in_(ids))).all():
        saved.setdefault(request_id, {})[layer] = picos
    return [row_of_ledger(row_of(record, saved.get(record[0], {})), has_body=has_body(record[0])) for record in records]
