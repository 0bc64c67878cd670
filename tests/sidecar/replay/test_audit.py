"""What a replay says of lost characters and broken prefixes is what happened to the requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.audit import Prefixes, characters_lost
from sidecar.simulator.prompt import PromptBlock


def request(*texts: str, system: str = "Be brief.") -> dict[str, Any]:
    return {
        "system": [{"type": "text", "text": system}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts],
    }


def blocks(*texts: str, ttl: str | None = "5m") -> list[PromptBlock]:
    """Rendered, the last one marked."""
    last = len(texts) - 1
    return [
        PromptBlock("messages", "user", "text", "", text.encode(), 1, ttl if index == last else None, 1, cacheable=True)
        for index, text in enumerate(texts)
    ]


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
    told = [
        prefixes.look(blocks("a", "b"), blocks("a", "B"), 0.0),
        prefixes.look(blocks("a", "b", "c"), blocks("a", "B", "c"), 1.0),
        prefixes.look(blocks("a", "b", "c", "d"), blocks("a", "b", "c", "d"), 2.0),
        prefixes.look(blocks("a", "x"), blocks("a", "x"), 3.0),
        prefixes.look(blocks("a", "x", "y"), blocks("a", "y"), 4.0),
        prefixes.look(blocks("a", "z"), blocks("a", "y"), 5.0),
    ]
    assert told == ["kept", "kept", "broken", "changed by the client", "broken", "kept"]


@pytest.mark.parametrize(("ttl", "seconds"), [("5m", 300.0), ("1h", 3600.0)])
def test_a_prefix_of_which_nothing_is_cached_any_more_may_be_written_anew(ttl: str, seconds: float) -> None:
    for pause, outcome in ((seconds - 1, "broken"), (seconds, "rewritten cold")):
        prefixes = Prefixes()
        prefixes.look(blocks("a"), blocks("a", ttl=ttl), 0.0)
        prefixes.look(blocks("a", "b"), blocks("a", "b"), 100.0)
        assert prefixes.look(blocks("a", "b", "c"), blocks("A", "b", "c"), 100.0 + pause) == outcome
