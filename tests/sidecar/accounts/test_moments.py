from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.accounts.moments import moment, span

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("24h", NOW - timedelta(hours=24)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(weeks=2)),
        (" 1 D ", NOW - timedelta(days=1)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:30", datetime(2026, 11, 1, 12, 30, tzinfo=UTC)),
        ("2026-11-01 12:30:05Z", datetime(2026, 11, 1, 12, 30, 5, tzinfo=UTC)),
        ("2026-11-01T12:30+02:00", datetime(2026, 11, 1, 10, 30, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_write_them(text: str, meant: datetime) -> None:
    assert moment(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "soon", "7", "7y", "-7d", "2026-13-01", "01.11.2026", "999999w", "1969-12-31"])
def test_what_is_no_time_is_told_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time: write 7d, 24h|is before 1970"):
        moment(text, NOW)


def test_a_span_has_open_ends_and_never_runs_backwards() -> None:
    assert span(None, None, NOW) == (None, None)
    assert span("7d", "1d", NOW) == (NOW - timedelta(days=7), NOW - timedelta(days=1))
    with pytest.raises(ValueError, match="not after the beginning"):
        span("1d", "7d", NOW)


@given(st.text(max_size=20))
def test_any_text_is_a_moment_of_utc_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert moment(text, NOW).tzinfo is UTC
