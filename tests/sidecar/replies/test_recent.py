"""The newest answers in memory: bounded in bytes and in time."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.replies.recent import OVERHEAD, RecentReplies
from sidecar.replies.reply import Reply


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reply(key: str, payload: bytes = b"x" * 10) -> Reply:
    rest: dict[str, Any] = {"project": "web", "model": "m", "stop_reason": "end_turn", "stored_at": 0, "ttl_seconds": 9}
    return Reply(key=key, form="message", payload=payload, **rest)


def test_it_is_known_for_a_while_and_another_form_of_it_for_no_longer() -> None:
    clock = Clock()
    recent = RecentReplies(most_bytes=2 * OVERHEAD, seconds=5, clock=clock)
    recent.put(reply("a"))
    clock.now = 4
    recent.exchange(reply("a", b"short"))
    assert recent.get("a") == reply("a", b"short")
    clock.now = 5
    assert recent.get("a") is None
    recent.exchange(reply("a"))
    assert recent.get("a") is None, "forgotten, so there is nothing to exchange"


def test_what_was_used_longest_ago_goes_first() -> None:
    recent = RecentReplies(most_bytes=2 * OVERHEAD + 25, seconds=5, clock=Clock())
    recent.put(reply("a"))
    recent.put(reply("b"))
    assert recent.get("a")
    recent.put(reply("c"))
    assert [key for key in "abc" if recent.get(key)] == ["a", "c"]
    recent.forget("a")
    assert recent.get("a") is None
    recent.clear()
    assert recent.get("c") is None


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "exchange", "forget", "get"]), st.integers(0, 4), st.integers(0, 40))
    )
)
def test_it_never_holds_more_bytes_than_it_may(steps: list[tuple[str, int, int]]) -> None:
    recent = RecentReplies(most_bytes=3 * OVERHEAD + 60, seconds=5, clock=Clock())
    for action, number, size in steps:
        key = str(number)
        if action in ("put", "exchange"):
            getattr(recent, action)(reply(key, b"x" * size))
        else:
            getattr(recent, action)(key)
        held = sum(len(one.payload) + OVERHEAD for key in "01234" if (one := recent.get(key)))
        assert held <= 3 * OVERHEAD + 60


def test_what_is_not_known_any_more_takes_no_room() -> None:
    clock = Clock()
    recent = RecentReplies(most_bytes=99 * OVERHEAD, seconds=5, clock=clock)
    for number in range(20):
        clock.now = number
        recent.put(reply(str(number)))
        assert recent.size <= 5 * (OVERHEAD + 10)
