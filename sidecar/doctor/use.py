"""What the ledger of the last days shows: models that are gone, a cache that does not hold, budgets at their end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sidecar.doctor.finding import Finding
from sidecar.doctor.scene import Scene

DAYS: Final = 7
GOOD_SHARE: Final = 0.8
ENOUGH_REQUESTS: Final = 20
NEARLY_SPENT: Final = 0.8


def models(scene: Scene) -> Iterator[Finding]:
    """Names that Claude does not answer to any more, or never did."""
    if scene.database is None:
        return
    from sqlalchemy import func, select

    from sidecar.ledger.queries import EVERY_PROJECT, within
    from sidecar.ledger.schema import requests

    groups = (requests.c.model_requested, requests.c.model, requests.c.route_reason)
    query = within(select(*groups, func.count().label("count")).group_by(*groups), EVERY_PROJECT, _since(), None)
    with scene.database().read() as connection:
        rows = connection.execute(query).mappings().all()
    wrong = [row for row in rows if row["route_reason"] in {"retired", "unknown"}]
    for row in wrong:
        asked, used = row["model_requested"], row["model"]
        said = (
            f"{asked} is retired; {used} answered in its place, {row['count']:,} times in {DAYS} days."
            if row["route_reason"] == "retired"
            else f"{asked} is a model that cgw does not know, asked for {row['count']:,} times in {DAYS} days."
        )
        yield Finding(
            "models", "warning", said, "Choose another in your tool: `sonnet`, `opus` and `haiku` always work."
        )
    if rows and not wrong:
        yield Finding("models", "ok", "Every model that was asked for is current.")


def cache_reads(scene: Scene) -> Iterator[Finding]:
    """How much of the prompts Claude read from its cache, and what kept it from the rest."""
    if scene.database is None:
        return
    from sqlalchemy import func, select

    from sidecar.ledger.queries import EVERY_PROJECT, within
    from sidecar.ledger.schema import requests

    counters = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
    sums = select(*[func.count().label("requests"), *(func.sum(requests.c[name]).label(name) for name in counters)])
    causes = select(requests.c.miss_cause, requests.c.miss_ours, requests.c.miss_tokens).where(
        requests.c.miss_cause.is_not(None)
    )
    with scene.database().read() as connection:
        [row] = connection.execute(within(sums, EVERY_PROJECT, _since(), None)).mappings().all()
        missed = connection.execute(within(causes, EVERY_PROJECT, _since(), None)).mappings().all()
    whole = sum(int(row[name] or 0) for name in counters)
    if row["requests"] < ENOUGH_REQUESTS or not whole:
        return
    share = int(row["cache_read_tokens"] or 0) / whole
    said = f"Claude read {share:.0%} of {whole:,} prompt tokens from its cache in {DAYS} days"
    if share >= GOOD_SHARE:
        yield Finding("cache", "ok", f"{said}.")
        return
    why, fix = _most_frequent(missed)
    yield Finding("cache", "warning", f"{said}; {why}", fix)


def _most_frequent(missed: Any) -> tuple[str, str]:
    """What cost the most tokens, and what to do about it."""
    kinds: Counter[tuple[str, bool]] = Counter()
    for row in missed:
        kinds[_kind(row["miss_cause"]), bool(row["miss_ours"])] += int(row["miss_tokens"])
    if not kinds:
        return "most of it was new.", "Long conversations pay more than many short ones."
    [((kind, ours), tokens)] = kinds.most_common(1)
    whose = "cgw itself: " if ours else ""
    fix = next((fix for word, fix in FIXES if word in kind), "The dashboard's conversations show every miss.")
    return f"the dearest cause ({tokens:,} tokens): {whose}{kind}.", fix


def _kind(cause: str) -> str:
    """Without what is different every time."""
    for sign in (" at character", ": ", " (message", " from message"):
        cause = cause.partition(sign)[0]
    return "a pause outlasted what was cached" if cause.startswith("a pause of") else cause


FIXES: Final = (
    ("system prompt", "Leave clocks and file lists out of the tool's system prompt; PREFIX_REPAIR mends most of them."),
    ("tool definitions", "Do not switch tools or MCP servers on and off within a conversation."),
    ("model changed", "Stay with one model in a conversation: each has a cache of its own."),
    ("a pause", "CACHE_TTL=1h, or KEEP_WARM, if you often come back after more than five minutes."),
    ("no cache marker", "ENABLE_ANTHROPIC_CACHE_CONTROL is off, for cgw or for the project."),
)
"""A word of the cause, and what helps."""


def budgets(scene: Scene) -> Iterator[Finding]:
    """Those of projects that are nearly spent."""
    if scene.database is None:
        return
    from sidecar.overview.projects import projects
    from sidecar.projects.store import ProjectStore

    database = scene.database()
    known = [stored.project for stored in ProjectStore(database).all()]
    for told in projects(database, known, scene.settings, datetime.now(UTC).date()):
        for period, spent in (("daily", "spent_today_picos"), ("monthly", "spent_month_picos")):
            budget = told[f"{period}_budget_picos"]
            if budget and told[spent] >= NEARLY_SPENT * budget:
                yield Finding(
                    "budgets",
                    "warning",
                    f"{told['name']} has spent {told[spent] / budget:.0%} of its {period} budget.",
                    f"`cgw projects set {told['name']} --{period}-budget DOLLARS`.",
                )


def _since() -> datetime:
    return datetime.now(UTC) - timedelta(days=DAYS)
