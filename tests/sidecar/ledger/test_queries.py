"""Sums are exact, ranges and projects are kept apart, on both databases."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT, GROUPINGS, Grouping, UsageLine, savings_by_layer, usage
from sidecar.ledger.rows import LedgerRow
from tests.support import thorough
from tests.support.ledger_rows import NOON, row, rows

shared_database = settings(suppress_health_check=thorough.ONE_FIXTURE, deadline=None, max_examples=30)
new_project = (f"project {number}" for number in itertools.count())


@shared_database
@given(st.data(), st.sampled_from(GROUPINGS))
def test_sums_are_exact_for_any_rows(database: Database, data: st.DataObject, by: Grouping) -> None:
    project = next(new_project)
    written: list[LedgerRow] = data.draw(st.lists(rows(project=project), max_size=8))
    database.write(written)
    report = usage(database, project=project, by=by)
    layers = savings_by_layer(database, project=project)
    saved: Counter[str] = Counter()
    for one in written:
        saved.update(one.saved)
    assert report.total.requests == len(written)
    assert report.total.cost_micros == sum(one.cost_micros for one in written)
    assert report.total.baseline_micros == sum(one.baseline_micros for one in written)
    assert report.total.output_tokens == sum(one.output_tokens for one in written)
    assert {line.layer: line.saved_micros for line in layers} == saved


def test_a_sum_beyond_64_bits_is_exact(database: Database) -> None:
    dear = Decimal(9 * 10**12)  # nine million dollars
    database.write([row(cost_micros=dear, baseline_micros=-dear, saved={"coalesce": -2 * dear / 2}) for _ in range(5)])
    total = usage(database, project="default", by="model").total
    assert (total.cost_micros, total.baseline_micros) == (5 * dear, -5 * dear)
    assert savings_by_layer(database, project="default")[0].saved_micros == -5 * dear


def test_days_are_utc_days_in_order(database: Database) -> None:
    moments = [
        "2026-11-22T23:59:59.999999Z",
        "2026-11-23T00:00:00Z",
        "2026-11-21T00:00:00Z",
        "2026-11-23T04:00:00+05:00",
    ]
    database.write([row(time=datetime.fromisoformat(moment)) for moment in moments])
    lines = usage(database, project="default", by="day").lines
    assert [(line.key, line.requests) for line in lines] == [("2026-11-21", 1), ("2026-11-22", 2), ("2026-11-23", 1)]


def test_a_range_holds_its_beginning_and_not_its_end(database: Database) -> None:
    hours = [NOON + timedelta(hours=hour) for hour in range(4)]
    database.write([row(time=hour, model=str(hour.hour)) for hour in hours])
    lines = usage(database, project="default", by="model", since=hours[1], until=hours[3]).lines
    assert sorted(line.key for line in lines) == ["13", "14"]
    assert savings_by_layer(database, project="default", since=hours[1], until=hours[3])[0].requests == 2


def test_a_time_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        usage(database, project="default", by="day", since=datetime(2026, 11, 22))  # noqa: DTZ001 -- what is refused


@pytest.mark.parametrize("by", GROUPINGS)
def test_one_project_never_sees_anothers_usage(database: Database, by: Grouping) -> None:
    database.write(
        [row(project="ours", client="our client"), row(project="theirs"), row(project="OURS"), row(project="")]
    )
    assert usage(database, project="ours", by=by).total.requests == 1
    assert savings_by_layer(database, project="ours")[0].requests == 1
    assert usage(database, project="' OR 1=1 --", by=by).total.requests == 0
    assert usage(database, project="%", by=by).total.requests == 0
    assert usage(database, project="", by=by).total.requests == 1
    assert usage(database, project=EVERY_PROJECT, by=by).total.requests == 4


@pytest.mark.parametrize("by", ["model", "project", "client"])
def test_the_dearest_comes_first(database: Database, by: Grouping) -> None:
    database.write(
        [row(**{by: name}, cost_micros=Decimal(cost)) for name, cost in [("a", 1), ("b", 3), ("c", 1), ("c", 1)]]
    )
    assert [line.key for line in usage(database, project=EVERY_PROJECT, by=by).lines] == ["b", "c", "a"]


def test_a_line_tells_what_became_of_its_requests(database: Database) -> None:
    database.write([row(), row(status=429), row(status=499, cancelled=True), row(estimated=True), row(status=399)])
    total = usage(database, project="default", by="day").total
    assert (total.requests, total.errors, total.cancelled, total.estimated) == (5, 1, 1, 1)


def test_shares_are_of_what_was_read_and_of_the_baseline(database: Database) -> None:
    tokens = {"input_tokens": 5, "cache_read_tokens": 84, "cache_write_5m_tokens": 10, "cache_write_1h_tokens": 1}
    database.write([row(**tokens, cost_micros=Decimal(1), baseline_micros=Decimal(3))])
    total = usage(database, project="default", by="day").total
    assert total.prompt_tokens == 100
    assert total.cache_read_percent == Decimal("84.0")
    assert total.saved_percent == Decimal("66.7")


def test_an_empty_ledger_has_a_total_of_nothing(database: Database) -> None:
    report = usage(database, project=EVERY_PROJECT, by="day", since=datetime(2026, 1, 1, tzinfo=UTC))
    assert report.lines == ()
    assert report.total == UsageLine("total")
    assert (report.total.saved_percent, report.total.cache_read_percent) == (Decimal("0.0"), Decimal("0.0"))
    assert savings_by_layer(database, project=EVERY_PROJECT) == ()


def test_layers_come_with_the_greatest_saving_first_and_spending_last(database: Database) -> None:
    saved = {"keep_warm": Decimal(-1), "prompt_cache": Decimal(5), "my_addon": Decimal(2)}
    database.write([row(saved=saved), row(saved={"my_addon": Decimal(1)}), row(saved={})])
    lines = savings_by_layer(database, project="default")
    assert [(line.layer, line.requests, line.saved_micros) for line in lines] == [
        ("prompt_cache", 1, Decimal(5)),
        ("my_addon", 2, Decimal(3)),
        ("keep_warm", 1, Decimal(-1)),
    ]
