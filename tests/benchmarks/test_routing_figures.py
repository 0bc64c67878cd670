"""What the routing benchmarks make of what they saw."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from benchmarks.routing import LABELS, LANES, Routed, Row, Share, matrix, mistakes, read, rounds
from benchmarks.routing_dollars import bills
from sidecar.conversations import conversation_id
from sidecar.dialects.openai_chat import decode
from sidecar.replay.player import Played


def routed(label: str, lane: str, number: int = 0) -> Routed:
    row = Row(f"zed-{number}", label, "tuning", "zed", "/v1/messages", {}, {"messages": []}, "Because.")
    return Routed(row, lane, "rule")


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (48, 50, 0.8654, 0.9890), (81, 263, 0.2553, 0.3662)],
)
def test_intervals_are_wilsons(hits: int, of: int, low: float, high: float) -> None:
    """The last is Newcombe's own example (Statistics in Medicine 17, 1998, table I, method 3)."""
    assert Share(hits, of).interval == pytest.approx((low, high), abs=5e-5)


def test_each_label_has_a_lane_and_the_matrix_counts_every_request_once() -> None:
    seen = [
        routed("errand", "haiku"),
        routed("errand", "sonnet"),
        routed("ordinary", "haiku"),
        routed("complex", "opus"),
    ]
    assert [one.right for one in seen] == [True, False, False, True]
    assert matrix(seen)[2:] == [
        "| errand | 1 | 1 | 0 | 2 |",
        "| ordinary | 1 | 0 | 0 | 1 |",
        "| complex | 0 | 0 | 1 | 1 |",
    ]
    assert (Share.precision(seen, "errand"), Share.recall(seen, "errand")) == (Share(1, 2), Share(1, 2))
    assert str(Share.precision([], "complex")) == "none"
    assert len(mistakes(seen)) == 2
    assert len(LABELS) == len(LANES)


def test_no_request_meets_the_sidecar_of_one_that_begins_alike() -> None:
    rows = [row for row in read() if "messages" in row.body]
    groups = rounds(rows)
    assert sum(map(len, groups)) == len(rows)
    assert max(Counter(map(conversation, rows)).values()) > 1
    for group in groups:
        assert max(Counter(map(conversation, group)).values()) == 1


def conversation(row: Row) -> str:
    request = decode(row.body).request if row.path == "/v1/chat/completions" else row.body
    return conversation_id("default", row.headers, request)


def test_what_went_up_to_opus_is_told_from_the_rest() -> None:
    def played(session: int, model: str, spent: int) -> Played:
        return Played(session, id="req", model=model, spent=Decimal(spent * 1000), output=Decimal(1000))

    sessions = (0, 0, 0, 1)
    sonnet, opus = ([played(at, model, price) for at in sessions] for model, price in (("sonnet", 10), ("opus", 20)))
    auto = [
        played(0, "claude-haiku-5-5", 1),
        played(0, "claude-opus-5-5", 25),
        played(0, "claude-sonnet-5-5", 14),
        played(1, "claude-sonnet-5-5", 13),
    ]
    first, second, whole = bills(["one", "two"], [auto, sonnet, opus])
    assert (first.rest, first.up, first.back, first.explained) == (-9_000, 15_000, 4_000, True)
    assert (second.rest, second.up, second.back, second.explained) == (3_000, 0, 0, False)
    assert whole.up + whole.back + whole.rest == whole.dollars["auto"] - whole.dollars["claude-sonnet-5-5"]
    assert whole.answered == {"opus": 1, "haiku": 1, "sonnet": 2}
