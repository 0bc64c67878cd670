"""Sums are those of the requests, by client, by session and in all."""

from __future__ import annotations

from decimal import Decimal

from sidecar.replay.player import Played
from sidecar.replay.results import Sums, by_client, by_session
from sidecar.replay.sessions import Session

SESSIONS = [Session("one", "cline", []), Session("two", "aider", []), Session("three", "cline", [])]


def played(session: int, spent: int, **more: object) -> Played:
    one = Played(session, id="req_1", plain=Decimal(100), automatic=Decimal(50), spent=Decimal(spent))
    for name, value in more.items():
        setattr(one, name, value)
    return one


def test_each_request_counts_once_for_its_client_and_once_in_all() -> None:
    lines = by_client(SESSIONS, [played(0, 40), played(0, 20), played(1, 50), played(2, 30)])
    assert [(line.key, line.sessions, line.requests, int(line.spent)) for line in lines] == [
        ("aider", 1, 1, 50),
        ("cline", 2, 3, 90),
        ("all", 3, 4, 140),
    ]
    assert [line.key for line in by_session(SESSIONS, [played(2, 1), played(0, 1)])] == ["one", "three", "all"]


def test_savings_are_of_what_the_prompts_would_have_cost() -> None:
    answer = {"output": Decimal(50), "output_as_asked": Decimal(50)}
    [_, whole] = by_client(SESSIONS, [played(0, 40, **answer), played(0, 60, **answer)])
    assert (whole.against_automatic, whole.against_plain, whole.whole_against_automatic) == (0.0, 50.0, 0.0)
    [_, dearer] = by_client(SESSIONS, [played(0, 60)])
    assert dearer.against_automatic == -20.0
    [_, routed] = by_client(SESSIONS, [played(0, 50, output=Decimal(5), output_as_asked=Decimal(50))])
    assert (routed.against_automatic, routed.whole_against_automatic) == (0.0, 45.0)


def test_layers_breaks_and_losses_add_up_and_times_are_ranked() -> None:
    requests = [
        played(0, 1, saved={"a": Decimal(1)}, lost=3, prefix="broken", overhead_ms=float(number))
        for number in range(1, 21)
    ]
    requests.append(played(0, 1, saved={"a": Decimal("0.5"), "b": Decimal(-1)}, prefix="rewritten cold"))
    whole = by_client(SESSIONS, requests)[-1]
    assert (whole.saved, whole.lost, whole.breaks) == ({"a": Decimal("20.5"), "b": Decimal(-1)}, 60, 20)
    assert (whole.rewritten_cold, whole.overhead_median, whole.overhead_p95) == (1, 10.5, 19.0)


def test_what_was_refused_or_broken_off_costs_nothing() -> None:
    lines = by_client(SESSIONS, [Played(0, error="400: no"), Played(0)])
    assert [(line.requests, line.failed, int(line.spent)) for line in lines] == [(0, 1, 0), (0, 1, 0)]
    assert lines[-1].against_automatic == 0.0


def test_dollars_in_json_are_exact() -> None:
    told = Sums("all", spent=Decimal("1.05"), plain=Decimal(3_000_000)).as_json()
    assert told["input_usd"] == {"plain": "3", "automatic_caching": "0", "cgw": "0.00000105"}
