"""What is learned of a client's pace, and what is believed before anything is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.pace import (
    DOUBT_SECONDS,
    FURTHER_PRIOR,
    MOST_CLIENTS,
    MOST_COUNTED,
    PAUSE_PRIOR,
    PAUSE_WEIGHT,
    START_PRIOR,
    START_WEIGHT,
    ClientPace,
    Pace,
)

NEW = ClientPace()
SECONDS = st.floats(0, 1e6)


def after(pace: ClientPace, *gaps: float) -> ClientPace:
    for gap in gaps:
        pace = pace.after_gap(gap)
    return pace


def test_an_unknown_client_pauses_once_in_a_hundred_requests() -> None:
    assert NEW.hour == Fraction(1, 100)


def test_sixty_gaps_weigh_as_much_as_what_was_believed() -> None:
    assert after(NEW, *[400.0] * 60).hour == (Fraction(1, 100) + 1) / 2


@pytest.mark.parametrize(
    ("seconds", "counts"),
    [(0, (1, 0, 0)), (300, (1, 0, 0)), (301, (0, 1, 0)), (3_600, (0, 1, 0)), (3_601, (0, 0, 1)), (1e9, (0, 0, 1))],
)
def test_a_gap_counts_by_what_survives_it(seconds: float, counts: tuple[int, int, int]) -> None:
    assert NEW.after_gap(seconds).gaps == counts


def test_a_client_that_never_pauses_is_believed_more_and_more() -> None:
    assert after(NEW, *[20.0] * 540).hour == Fraction(6, 10) / 600


def test_habits_of_long_ago_lose_their_weight() -> None:
    worked_through = after(NEW, *[20.0] * MOST_COUNTED)
    assert sum(after(worked_through, *[600.0] * 10).gaps) < MOST_COUNTED
    assert after(worked_through, *[600.0] * 1_000).hour > Fraction(2, 5)


def test_conversations_that_end_in_silence_lower_the_odds_of_a_return() -> None:
    often = after(NEW, *[600.0] * 8)
    seldom = often
    for _ in range(40):
        seldom = seldom.after_request(1)
    assert often.returns > Fraction(1, 2)
    assert seldom.returns < Fraction(1, 4)


def test_unknown_conversations_are_expected_to_go_on_for_some_time() -> None:
    assert NEW.further(1) == FURTHER_PRIOR


def test_a_client_of_short_conversations_is_not_expected_to_go_on() -> None:
    pace = NEW
    for _ in range(100):
        for number in (1, 2):
            pace = pace.after_request(number)
    assert (pace.further(1), pace.further(2)) == (1, 0)


def test_a_conversation_longer_than_most_is_judged_by_the_few_that_came_that_far() -> None:
    pace = NEW
    for length in [2] * 50 + [60] * 10:
        for number in range(1, length + 1):
            pace = pace.after_request(number)
    assert pace.further(1) < pace.further(10)


def test_a_start_soon_after_the_last_raises_the_odds_of_the_next() -> None:
    assert NEW.after_start(1_200.0).starts_soon > NEW.starts_soon
    assert NEW.after_start(float("inf")).starts_late > NEW.starts_late


@given(gaps=st.lists(SECONDS, max_size=50), starts=st.lists(SECONDS, max_size=20), turns=st.lists(st.integers(1, 300)))
def test_chances_are_chances_whatever_was_seen(gaps: list[float], starts: list[float], turns: list[int]) -> None:
    pace = after(NEW, *gaps)
    for seconds in starts:
        pace = pace.after_start(seconds)
    for number in turns:
        pace = pace.after_request(number)
    assert 0 <= pace.hour + pace.later <= 1
    assert 0 <= pace.returns <= 1
    assert 0 <= pace.starts_soon + pace.starts_late <= 1
    assert pace.further(5) >= 0


class TestWhatPausesShowOfAnHour:
    def test_is_believed_until_seen(self) -> None:
        assert Pace().hours_hold(0)

    def test_is_given_up_after_the_first_loss(self) -> None:
        pace = Pace()
        pace.judge(False, 100)
        assert not pace.hours_hold(200)

    def test_is_not_given_up_for_one_loss_after_it_held(self) -> None:
        pace = Pace()
        pace.judge(True, 0)
        pace.judge(False, 100)
        assert pace.hours_hold(200)
        pace.judge(False, 300)
        assert not pace.hours_hold(400)

    def test_is_tried_again_after_a_week(self) -> None:
        pace = Pace()
        pace.judge(False, 100)
        assert pace.hours_hold(100 + DOUBT_SECONDS)
        pace.judge(False, 100 + DOUBT_SECONDS)
        assert not pace.hours_hold(200 + DOUBT_SECONDS)


class TestOverRestarts:
    def test_everything_known_is_kept(self) -> None:
        pace = Pace()
        pace.learn("cline", after(NEW, 5.0, 600.0).after_request(1).after_start(10.0))
        pace.judge(False, 123.0)
        assert Pace.from_bytes(pace.to_bytes()) == pace

    @pytest.mark.parametrize(
        "kept",
        [
            None,
            b"",
            b"no json",
            b"[]",
            b'{"format":2}',
            b'{"format":1,"hours":[1],"clients":{}}',
            b'{"format":1,"hours":[0,0,0.0],"clients":{"a":[[1,2],[0,0,0],[]]}}',
            b'{"format":1,"hours":[0,0,0.0],"clients":{"a":[[-1,2,0],[0,0,0],[]]}}',
        ],
    )
    def test_what_cannot_be_read_counts_as_nothing_known(self, kept: bytes | None) -> None:
        assert Pace.from_bytes(kept) == Pace()

    def test_only_so_many_clients_are_kept(self) -> None:
        pace = Pace()
        for number in range(MOST_CLIENTS + 5):
            pace.learn(f"client {number}", NEW)
        assert len(pace.clients) == MOST_CLIENTS
        assert "client 0" not in pace.clients


COUNTS = st.tuples(*[st.integers(0, MOST_COUNTED)] * 3)


@given(COUNTS, COUNTS)
def test_chances_are_what_was_counted_and_what_was_believed_by_their_weights(
    gaps: tuple[int, int, int], starts: tuple[int, int, int]
) -> None:
    pace = ClientPace(gaps, starts)
    believed = [(PAUSE_PRIOR[kind] * PAUSE_WEIGHT + gaps[kind]) / (PAUSE_WEIGHT + sum(gaps)) for kind in (1, 2)]
    assert [pace.hour, pace.later] == believed
    believed = [(START_PRIOR[kind] * START_WEIGHT + starts[kind]) / (START_WEIGHT + sum(starts)) for kind in (1, 2)]
    assert [pace.starts_soon, pace.starts_late] == believed
