"""Replays have a calendar of their own: as recorded, in even steps or as people pause, and it never goes back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.pacing import BEGIN, DAY, STEP, as_recorded, calendar, every, human
from sidecar.replay.sessions import Session, Turn, is_typed

TYPED = {"messages": [{"role": "user", "content": "please fix it"}]}
RESULT = {"messages": [{"role": "tool", "tool_call_id": "1", "content": "done"}]}


def session(*times: float | None, client: str = "cline", name: str = "one") -> Session:
    return Session(name, client, [Turn(TYPED, None, at) for at in times])


def test_recorded_pauses_are_kept_and_unknown_ones_are_twenty_seconds() -> None:
    assert as_recorded(session(100.0, 103.5, None, 200.0, 150.0)) == [0.0, 3.5, STEP, STEP, 0.0]


def test_even_steps_are_even() -> None:
    assert every(7)(session(1.0, 500.0, None)) == [0.0, 7, 7]


def test_people_pause_before_what_they_type_and_always_the_same_way() -> None:
    turns = [Turn(TYPED if index % 2 else RESULT, None) for index in range(2_000)]
    pauses = human(1)(Session("one", "cline", turns))
    assert pauses == human(1)(Session("one", "cline", turns))
    assert pauses != human(2)(Session("one", "cline", turns))
    assert set(pauses[2::2]) == {STEP}
    typed = pauses[1::2]
    assert all(1 <= pause <= 8 * 3600 for pause in typed)
    shares = [sum(low < pause <= high for pause in typed) / len(typed) for low, high in ((0, 60), (300, 3600))]
    assert shares[0] == pytest.approx(0.80, abs=0.05)
    assert shares[1] == pytest.approx(0.15, abs=0.04)
    assert not any(60 < pause < 300 for pause in typed)


def test_sessions_are_a_day_apart_unless_one_client_s_were_recorded_one_after_another() -> None:
    sessions = [
        session(1000.0, 1010.0),
        session(2000.0, client="aider"),
        session(3000.0, client="aider"),
        session(2500.0, client="aider"),
        session(None, client="aider"),
    ]
    times = calendar(sessions, as_recorded)
    assert times[0] == [BEGIN, BEGIN + 10]
    begins = [moments[0] - ended[-1] for ended, moments in pairwise(times)]
    assert begins == [DAY, 1000.0, DAY, DAY]


@given(st.lists(st.lists(st.none() | st.floats(0, 2e9), min_size=1, max_size=5), min_size=1, max_size=5))
def test_time_never_goes_back(recorded: list[list[float | None]]) -> None:
    moments = [at for times in calendar([session(*times) for times in recorded], as_recorded) for at in times]
    assert moments == sorted(moments)


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ({"role": "user", "content": "why?"}, True),
        ({"role": "user", "content": [{"type": "text", "text": "why?"}]}, True),
        ({"role": "tool", "content": "why?"}, False),
        ({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]}, False),
        ({"role": "user", "content": "[read_file for 'a.py'] Result:\nimport a"}, False),
        ({"role": "user", "content": [{"type": "text", "text": "[ask_followup_question] Result:\nyes"}]}, False),
        ({"role": "user", "content": "[ERROR] You did not use a tool"}, False),
        ({"role": "user", "content": "EXECUTION RESULT of [terminal]:\nok"}, False),
        ({"role": "user", "content": "done\n(Open file: n/a)\n(Current directory: /)\nbash-$"}, False),
        ({"role": "user", "content": None}, False),
    ],
)
def test_results_of_tools_are_nobody_s_words_in_whatever_form_they_come(message: object, typed: bool) -> None:
    assert is_typed(Turn({"messages": [message]}, None)) is typed
