"""Cache markers stand where they are found again, and never where Claude refuses them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.conversation import Lifetime
from sidecar.economy.breakpoints import REACH, can_be_marked, place, surplus, wanted, within_reach
from sidecar.economy.warmth import Entry

LIFETIMES = st.sampled_from(["5m", "1h"])
FIVE: Lifetime = "5m"


def entry(until: int, ttl: Lifetime = "5m") -> Entry:
    return Entry(until, until * 1_000, ttl, 1e12)


def marks(kinds: list[str], *warm: Entry, client: dict[int, str] | None = None, **more: Any) -> dict[int, Lifetime]:
    client = client or {}
    asked = {"tail": FIVE, "head": None} | more
    asked_for = wanted(len(kinds), kinds.__getitem__, lambda _: True, warm, **asked)
    return place(asked_for, client, free=4 - len(client))


@pytest.mark.parametrize(
    ("block", "takes"),
    [
        ({"type": "text", "text": "words"}, True),
        ({"type": "text", "text": ""}, False),
        ({"type": "text", "text": " \n"}, False),
        ({"type": "thinking", "thinking": "", "signature": "s"}, False),
        ({"type": "redacted_thinking", "data": "d"}, False),
        ({"type": "tool_use", "id": "t", "name": "n", "input": {}}, True),
        ({"type": "tool_result", "tool_use_id": "t"}, True),
        ({"name": "read", "input_schema": {}}, True),
        (None, False),
    ],
)
def test_thinking_empty_text_and_what_is_left_out_take_no_marker(block: dict[str, Any] | None, takes: bool) -> None:
    assert can_be_marked(block) is takes


@pytest.mark.parametrize(
    ("kinds", "first"),
    [
        (["text"] * 20, 0),
        (["text"] * 21, 1),
        (["text"] * 30, 10),
        (["tool_use"] * 30 + ["tool_result"] * 30, 0),
        (["text"] * 5 + ["tool_use"] * 9 + ["tool_result"] * 9 + ["text"] * 18, 5),
    ],
)
def test_a_marker_looks_at_twenty_positions_and_a_run_of_calls_or_results_is_one(kinds: list[str], first: int) -> None:
    assert within_reach(len(kinds) - 1, kinds.__getitem__) == first


def test_a_first_request_is_marked_at_its_head_and_at_its_end() -> None:
    assert marks(["tool", "text", "text"], head=(1, "5m")) == {1: "5m", 2: "5m"}


def test_tools_are_marked_by_themselves_where_a_place_is_left() -> None:
    assert marks(["tool", "text", "text"], head=(1, "5m"), tools=0) == {0: "5m", 1: "5m", 2: "5m"}


def test_a_request_that_goes_on_is_marked_at_its_end_and_where_it_goes_on_from() -> None:
    assert marks(["text"] * 5, entry(3)) == {2: "5m", 4: "5m"}


def test_where_much_is_new_the_end_can_still_be_walked_back_to_what_is_old() -> None:
    found = marks(["text"] * 40, entry(5), head=(0, "5m"))
    assert found.keys() == {0, 4, 39 - REACH, 39}


def test_little_that_is_new_needs_no_marker_in_between() -> None:
    assert marks(["text"] * 24, entry(5)).keys() == {4, 23}


def test_the_last_hour_is_kept_alive_before_anything_that_only_helps_others() -> None:
    found = marks(["text"] * 60, entry(5, "1h"), entry(20), head=(0, "5m"))
    assert found == {4: "1h", 19: "5m", 40: "5m", 59: "5m"}


def test_what_stands_before_an_hour_gets_an_hour() -> None:
    assert marks(["text"] * 5, entry(3), tail="1h", head=(0, "5m")) == {0: "1h", 2: "1h", 4: "1h"}


def test_no_hour_stands_behind_a_clients_five_minutes() -> None:
    assert marks(["text"] * 5, tail="1h", client={1: "5m"}) == {4: "5m"}


def test_a_clients_hour_makes_those_before_it_hours() -> None:
    assert marks(["text"] * 5, entry(2), client={3: "1h"}) == {1: "1h", 4: "5m"}


def test_a_clients_marker_is_left_as_it_is() -> None:
    assert 4 not in marks(["text"] * 5, tail="1h", client={4: "5m"})


def test_a_client_that_uses_all_places_gets_none_of_ours() -> None:
    assert marks(["text"] * 9, entry(3), head=(0, "5m"), client={1: "5m", 2: "5m", 3: "5m", 5: "5m"}) == {}


@settings(max_examples=80)
@given(
    kinds=st.lists(st.sampled_from(["text", "tool_use", "tool_result"]), min_size=1, max_size=60),
    markable=st.lists(st.booleans(), min_size=60, max_size=60),
    warm=st.lists(st.tuples(st.integers(1, 60), LIFETIMES), max_size=4),
    client=st.dictionaries(st.integers(0, 59), st.just("5m"), max_size=4),
    hours=st.integers(0, 60),
    tail=LIFETIMES,
    head=LIFETIMES,
)
def test_never_more_than_four_never_on_what_takes_none_and_hours_always_first(
    kinds: list[str],
    markable: list[bool],
    warm: list[tuple[int, Lifetime]],
    client: dict[int, str],
    hours: int,
    tail: Lifetime,
    head: Lifetime,
) -> None:
    client = {index: "1h" if index < hours else "5m" for index in client if index < len(kinds)}
    known = [Entry(until, until, ttl, 1e12) for until, ttl in sorted(warm) if until <= len(kinds)]
    heading = (0, head) if markable[0] else None
    asked = wanted(len(kinds), kinds.__getitem__, markable.__getitem__, known, tail=tail, head=heading)
    ours = place(asked, client, free=4 - len(client))
    assert asked == all_wanted(kinds, markable, known, tail, heading)
    assert len(ours) + len(client) <= 4
    assert not ours.keys() & client.keys()
    assert all(markable[index] for index in ours)
    lifetimes = [ttl for _, ttl in sorted({**ours, **client}.items())]
    assert lifetimes == sorted(lifetimes, key=["1h", "5m"].index)


def all_wanted(
    kinds: list[str], markable: list[bool], known: list[Entry], tail: Lifetime, head: tuple[int, Lifetime] | None
) -> list[tuple[int, Lifetime]]:
    """By the rule, looking at everything."""
    newest = max((index for index in range(len(kinds)) if markable[index]), default=None)
    if newest is None:
        return []
    ends = [(one.until - 1, one.ttl) for one in known if one.until - 1 <= newest and markable[one.until - 1]]
    reach = within_reach(newest, kinds.__getitem__)
    between: list[tuple[int, Lifetime]] = [(index, "5m") for index in range(reach, newest) if markable[index]]
    far = not ends or ends[-1][0] < reach
    hours = [end for end in ends if end[1] == "1h"]
    return [
        (newest, tail),
        *(ends[-1:] if far else []),
        *hours[-1:],
        *(between[:1] if far and reach else []),
        *([head] if head is not None else []),
        *ends[-1:],
    ]


def test_of_too_many_client_markers_the_last_on_tools_and_system_and_the_newest_stay() -> None:
    client = dict.fromkeys([0, 1, 2, 3, 4, 7, 9], "5m")
    assert surplus(client, tools=2, system=4, places=4) == [0, 2, 4]


def test_four_client_markers_all_stay() -> None:
    assert surplus(dict.fromkeys([0, 1, 2, 3], "5m"), tools=1, system=2, places=4) == []
