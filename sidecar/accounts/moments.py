"""Points in time as people write them: `7d`, `24h`, `2026-11-01`, `2026-11-01T12:30Z`. Everything is UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(rf"(\d{{1,6}})\s*([{''.join(UNITS)}])", re.IGNORECASE)


def moment(text: str, now: datetime) -> datetime:
    """The moment in UTC; `7d` is seven days before `now`, a date its first second, a time without zone UTC.

    Raises ValueError, one sentence, for anything else.
    """
    written = text.strip()
    try:
        if ago := _AGO.fullmatch(written):
            return now - timedelta(**{UNITS[ago[2].lower()]: int(ago[1])})
        found = datetime.fromisoformat(written)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write 7d, 24h, 2026-11-01 or 2026-11-01T12:30Z (UTC).") from None
    if found.year < 1970:
        raise ValueError(f"{text!r} is before 1970.")
    return found


def span(since: str | None, until: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """From `since` up to, not including, `until`; None is no bound. Raises ValueError, also for an end before the
    beginning."""
    start = moment(since, now) if since else None
    end = moment(until, now) if until else None
    if start is not None and end is not None and end <= start:
        raise ValueError(f"There is no time from {since!r} until {until!r}: the end is not after the beginning.")
    return start, end
