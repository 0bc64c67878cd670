"""Counting by the minute, on a clock that the tests turn."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from sidecar.limits.windows import MINUTE, RequestWindow, TokenWindow

STEPS = st.lists(st.floats(0, 90, allow_nan=False), max_size=60)


def test_a_burst_within_the_limit_passes_at_once_and_the_next_is_refused() -> None:
    window = RequestWindow()
    assert [window.take(60, 0.0).remaining for _ in range(60)] == list(range(59, -1, -1))
    refused = window.take(60, 15.0)
    assert refused.refused
    assert refused.reset == 45.0


@given(STEPS, st.integers(1, 5))
def test_no_minute_ever_holds_more_than_the_limit_and_nobody_is_refused_below_it(
    steps: list[float], limit: int
) -> None:
    window, taken, now = RequestWindow(), deque[float](), 0.0
    for step in steps:
        now += step
        last_minute = [moment for moment in taken if moment > now - MINUTE]
        result = window.take(limit, now)
        assert result.refused == (len(last_minute) >= limit)
        if not result.refused:
            taken.append(now)


@given(STEPS, st.integers(1, 5))
def test_whoever_comes_back_when_told_to_is_let_in_and_a_moment_earlier_is_not(steps: list[float], limit: int) -> None:
    window, now = RequestWindow(), 0.0
    for step in steps:
        now += step
        if (result := window.take(limit, now)).refused:
            assert window.look(limit, now + result.reset * 0.999).remaining == 0
            now += result.reset + 1e-6
            assert not window.take(limit, now).refused


def test_a_refused_request_is_not_counted() -> None:
    window = RequestWindow()
    window.take(1, 0.0)
    for second in range(1, 60):
        assert window.take(1, float(second)).refused
    assert not window.take(1, 60.0).refused


def test_looking_counts_nothing() -> None:
    window = RequestWindow()
    assert [window.look(2, 0.0) for _ in range(9)] == [window.look(2, 0.0)] * 9
    assert window.look(2, 0.0).reset == 0.0


def test_a_lowered_limit_waits_until_enough_requests_are_a_minute_old() -> None:
    window = RequestWindow()
    for second in range(10):
        window.take(10, float(second))
    lowered = window.take(3, 10.0)
    assert lowered.refused
    assert window.look(3, 10.0 + lowered.reset).remaining == 1


def test_tokens_are_known_afterwards_so_the_last_answer_may_go_beyond_the_limit() -> None:
    window = TokenWindow()
    window.add(90, 0.0)
    assert window.look(100, 1.0).remaining == 10
    window.add(500, 2.0)
    full = window.look(100, 2.0)
    assert (full.refused, full.remaining, full.reset) == (True, 0, 58.0)
    assert window.look(100, 60.0).remaining == 100


@given(st.lists(st.tuples(st.floats(0, 90, allow_nan=False), st.integers(0, 50)), max_size=60))
def test_a_full_minute_of_tokens_is_always_over_when_it_said(answers: list[tuple[float, int]]) -> None:
    window, now = TokenWindow(), 0.0
    for step, tokens in answers:
        now += step
        window.add(tokens, now)
        if (state := window.look(60, now)).refused:
            assert 0 < state.reset <= MINUTE
            now += state.reset + 1e-6  # a sum of floats may be the last bit less
            assert window.look(60, now).remaining == 60
