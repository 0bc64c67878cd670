"""What a replay says of lost characters and broken prefixes is what happened to the requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.audit import Contents, Prefixes, characters_lost


def request(*texts: str, system: str = "Be brief.") -> dict[str, Any]:
    return {
        "system": [{"type": "text", "text": system}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts],
    }


def blocks(*texts: str) -> Contents:
    return [("messages", "user", text.encode()) for text in texts]


def test_nothing_is_lost_where_only_markers_and_words_of_ours_came_in() -> None:
    arrived = request("hello", "there", "an instruction of ours")
    arrived["messages"][0]["content"][0]["cache_control"] = {"type": "ephemeral"}
    assert characters_lost(request("hello", "there"), arrived) == 0


@pytest.mark.parametrize(
    ("arrived", "lost"),
    [
        (request("hello"), len("there")),
        (request("hello", "th[...]re"), len("e")),
        (request("hello", "there", system="Be."), len(" brief")),
        (request("hello", "x"), len("there")),
    ],
)
def test_characters_that_nobody_can_tell_any_more_are_counted(arrived: dict[str, Any], lost: int) -> None:
    assert characters_lost(request("hello", "there"), arrived) == lost


@given(st.lists(st.text(max_size=8), min_size=1, max_size=6))
def test_a_request_that_arrived_as_meant_has_lost_nothing(texts: list[str]) -> None:
    assert characters_lost(request(*texts), request(*texts)) == 0


def test_a_text_that_is_there_twice_must_arrive_twice() -> None:
    assert characters_lost(request("again", "again"), request("again")) == len("again")


def test_a_prefix_is_broken_only_where_we_change_what_we_sent_and_the_client_did_not() -> None:
    prefixes = Prefixes()
    assert not prefixes.broken(blocks("a", "b"), blocks("a", "B"))
    assert not prefixes.broken(blocks("a", "b", "c"), blocks("a", "B", "c"))
    assert prefixes.broken(blocks("a", "b", "c", "d"), blocks("a", "b", "c", "d"))
    assert not prefixes.broken(blocks("a", "x"), blocks("a", "x"))  # it was the client
    assert prefixes.broken(blocks("a", "x", "y"), blocks("a", "y"))  # left out what was sent
