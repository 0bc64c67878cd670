"""What the response cache holds, in figures."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.exchange import Json
from sidecar.replies.reply import Reply


def summary(replies: Iterable[Reply], now: float) -> Json:
    """`now` in epoch seconds. Bytes are those of the answers; ages are None where there is no answer."""
    projects: dict[str, Json] = {}
    ages = []
    for reply in replies:
        if not reply.is_fresh(now):
            continue
        project = projects.setdefault(reply.project, {"entries": 0, "bytes": 0})
        project["entries"] += 1
        project["bytes"] += len(reply.payload)
        ages.append(reply.age(now))
    return {
        "entries": sum(project["entries"] for project in projects.values()),
        "bytes": sum(project["bytes"] for project in projects.values()),
        "oldest_seconds": round(max(ages)) if ages else None,
        "newest_seconds": round(min(ages)) if ages else None,
        "projects": dict(sorted(projects.items())),
    }


def described(reply: Reply, now: float) -> Json:
    """All that is known of one answer but the answer itself."""
    return {
        "key": reply.key,
        "project": reply.project,
        "model": reply.model,
        "stop_reason": reply.stop_reason,
        "bytes": len(reply.payload),
        "age_seconds": round(reply.age(now)),
        "expires_in_seconds": round(reply.ttl_seconds - reply.age(now)),
    }
