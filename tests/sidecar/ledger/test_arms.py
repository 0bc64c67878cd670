"""Who is compared with whom when the layers are measured, on both databases."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sidecar.ledger.arms import Arms, Conversation, arms
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT
from sidecar.ledger.rows import LedgerRow
from tests.support.ledger_rows import NOON, row


def held(conversation: str, minute: float = 0, **fields: Any) -> LedgerRow:
    return row(conversation=conversation, holdout=True, time=NOON + timedelta(minutes=minute), **fields)


def layered(conversation: str, minute: float = 0, **fields: Any) -> LedgerRow:
    return row(conversation=conversation, time=NOON + timedelta(minutes=minute), **fields)


def test_without_a_holdout_there_is_nothing_to_compare(database: Database) -> None:
    database.write([layered("a"), layered("b", 5)])
    assert arms(database, project="default") == Arms()


def test_requests_are_summed_by_conversation(database: Database) -> None:
    database.write([held("h"), held("h", 9), layered("a", 1), layered("a", 2, cost_micros=Decimal(5)), layered("b", 3)])
    found = arms(database, project="default")
    assert found.holdout == (Conversation(2, 2_000_000, 6_000_000),)
    assert sorted(found.layers, key=lambda one: one.requests) == [
        Conversation(1, 1_000_000, 3_000_000),
        Conversation(2, 6_000_000, 6_000_000),
    ]
    assert (found.since, found.until, found.in_both) == (NOON, NOON + timedelta(minutes=9), 0)


def test_only_the_time_in_which_something_was_held_out_counts(database: Database) -> None:
    times = [layered("early", -1), held("h", 0), layered("in", 5), held("h", 10), layered("late", 11)]
    database.write(times)
    found = arms(database, project="default")
    assert (len(found.layers), found.holdout[0].requests) == (1, 2)
    narrow = arms(database, project="default", since=NOON + timedelta(minutes=1))
    assert (narrow.layers, narrow.holdout[0].requests) == ((), 1)


def test_a_conversation_in_both_arms_is_in_neither(database: Database) -> None:
    database.write([held("h"), held("x", 1), layered("x", 2), layered("a", 3), held("h", 4)])
    found = arms(database, project="default")
    assert (len(found.layers), len(found.holdout), found.in_both) == (1, 1, 1)


def test_failures_and_requests_of_no_conversation_are_left_out(database: Database) -> None:
    database.write([held("h"), held("h", 1, status=529), held("", 2), layered("", 3), layered("a", 0, status=400)])
    found = arms(database, project="default")
    assert (found.layers, [one.requests for one in found.holdout]) == ((), [1])


def test_projects_are_apart_also_where_their_conversations_have_one_name(database: Database) -> None:
    database.write([held("c", project="ours"), layered("c", project="theirs"), held("d", project="theirs")])
    assert arms(database, project="ours").layers == ()
    every = arms(database, project=EVERY_PROJECT)
    assert (len(every.layers), len(every.holdout), every.in_both) == (1, 2, 0)
