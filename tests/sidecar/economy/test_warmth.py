"""What is in the prompt cache is told from what was sent and what was billed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.conversation import REQUESTS_KEPT, Accepted, Line, Sent
from sidecar.economy.warmth import MOST_KNOWN, Entry, entries, readable, tokens_of
from sidecar.simulator.caching import PromptCache
from sidecar.simulator.models import find
from sidecar.simulator.prompt import PromptBlock

SONNET = "claude-sonnet-5-5"


def sent(now: float, until: int, marks: dict[int, str], **more: Any) -> Accepted:
    usual: dict[str, Any] = {"model": SONNET, "tokens": until * 1_000, "written_5m": 1} | more
    return Accepted(now=now, until=until, marks=marks, **usual)


def warm(*requests: Accepted, now: float, model: str = SONNET) -> list[tuple[int, str, float]]:
    found = entries(requests, lambda until: until * 1_000, model=model, now=now)
    return [(entry.until, entry.ttl, entry.expires) for entry in found]


def test_a_marked_block_can_be_read_until_its_lifetime_is_over() -> None:
    one = sent(100, 5, {4: "5m"})
    assert warm(one, now=399) == [(5, "5m", 400)]
    assert warm(one, now=400) == []


def test_reading_an_entry_gives_it_its_lifetime_again() -> None:
    assert warm(sent(0, 5, {4: "5m"}), sent(200, 6, {4: "5m", 5: "5m"}, read=5_000), now=450) == [
        (5, "5m", 500),
        (6, "5m", 500),
    ]


def test_what_was_found_lives_on_without_a_marker_and_what_stands_before_it_does_not() -> None:
    assert warm(sent(0, 5, {1: "5m", 4: "5m"}), sent(200, 8, {7: "5m"}, read=5_000), now=450) == [
        (5, "5m", 500),
        (8, "5m", 500),
    ]


def test_an_hour_keeps_the_whole_prefix_while_five_minutes_pass() -> None:
    assert warm(sent(0, 5, {1: "5m", 4: "1h"}), now=600) == [(5, "1h", 3_600)]


def test_what_a_request_should_have_read_and_did_not_is_gone() -> None:
    assert warm(sent(0, 5, {4: "1h"}), sent(600, 6, {4: "1h", 5: "5m"}, read=0), now=700) == [
        (5, "1h", 4_200),
        (6, "5m", 900),
    ]


def test_a_prompt_too_short_to_be_written_leaves_nothing() -> None:
    assert warm(sent(0, 5, {4: "5m"}, written_5m=0), now=1) == []


def test_another_models_cache_is_not_ours() -> None:
    assert warm(sent(0, 5, {4: "5m"}, model="claude-opus-5-5"), now=1) == []


def test_tokens_are_exact_where_requests_ended_and_shared_out_by_bytes_between() -> None:
    line = Line("l", "p", "c")
    line.extend(Sent(bytes([size % 256]) * 16, b"", "messages", "user", size) for size in (100, 300, 100, 200))
    line.accept(Accepted(0, SONNET, until=2, tokens=200))
    line.accept(Accepted(1, SONNET, until=3, tokens=260))
    tokens_at = tokens_of(line)
    assert [tokens_at(until) for until in range(5)] == [0, 50, 200, 260, 364]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),
            st.sampled_from([10.0, 250.0, 400.0, 3_000.0, 4_000.0]),
            st.sampled_from(["5m", "1h"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_the_simulated_claude_agrees(turns: list[tuple[int, float, str, bool]]) -> None:
    """A conversation that only grows: what is told to be warm is what Claude then reads."""
    model = find(SONNET)
    assert model is not None
    cache, requests, now, length = PromptCache(), list[Accepted](), 0.0, 0
    for grows, gap, ttl, keeps in turns:
        now += gap
        length += grows
        told = entries(requests, lambda until: until * 1_000, model=SONNET, now=now)
        marks = {length - 1: ttl}
        if told and (keeps or length - told[-1].until > 10):
            marks |= {told[-1].until - 1: ttl}
        if hours := [entry for entry in told if entry.ttl == "1h"]:
            marks |= {hours[-1].until - 1: "1h"}
        blocks = [_block(index, marks.get(index)) for index in range(length)]
        reading = cache.read({"messages": []}, blocks, model, "w", now)
        cache.begin(reading)
        assert reading.read == (told[-1].tokens if told else 0)
        requests.append(
            Accepted(now, SONNET, length, reading.total, reading.read, reading.write_5m, reading.write_1h, dict(marks))
        )


def _block(index: int, ttl: str | None) -> PromptBlock:
    return PromptBlock("messages", "user", "text", "", str(index).encode(), 1_000, ttl, int(ttl is not None), True)


def test_entries_come_shortest_first() -> None:
    found = entries([sent(0, 9, {8: "5m", 2: "5m"})], lambda until: until * 1_000, model=SONNET, now=1)
    assert found == [Entry(3, 3_000, "5m", 300.0), Entry(9, 9_000, "5m", 300.0)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SONNET, "claude-opus-5-5"]),
            st.integers(0, 3),
            st.sampled_from([10.0, 250.0, 400.0, 3_000.0, 4_000.0]),
            st.dictionaries(st.integers(0, 5), st.sampled_from(["5m", "1h"]), max_size=4),
            st.sampled_from([0.0, 0.5, 0.9, 1.0]),
            st.booleans(),
        ),
        min_size=1,
        max_size=40,
    ),
    st.data(),
)
def test_carried_on_from_request_to_request_it_is_what_all_requests_tell(
    turns: list[tuple[str, int, float, dict[int, str], float, bool]], data: st.DataObject
) -> None:
    """Whoever asks when, for whichever model: what is marked, read or written in a turn is anything."""
    line, now = Line("l", "p", "c"), 0.0
    line.extend([Sent(b"0" * 16, b"", "messages", "user", 300)])
    for model, grows, gap, marks, read, asked in turns:
        now += gap
        line.extend(Sent(bytes([index]) * 16, b"", "messages", "user", 300) for index in range(grows))
        until = len(line.sent)
        backwards = {until - 1 - back: ttl for back, ttl in marks.items() if back < until}
        line.accept(sent(now, until, backwards, model=model, tokens=until * 100, read=int(until * 100 * read)))
        if asked:
            frozen = data.draw(st.integers(0, until))
            told = readable(line, frozen, model=model, now=now + 20)
            all_of_them = entries(line.requests, tokens_of(line), model=model, now=now + 20)
            assert told == [entry for entry in all_of_them if entry.until <= frozen]


def test_of_very_many_entries_those_are_forgotten_that_nothing_read() -> None:
    line = Line("l", "p", "c")
    for number in range(1, 3 * MOST_KNOWN):
        line.extend([Sent(bytes([number]) * 16, b"", "messages", "user", 300)])
        marks = {0: "1h", number - 2: "5m", number - 1: "5m"} if number > 1 else {0: "1h"}
        line.accept(sent(number, number, marks, tokens=number * 100, read=number * 100 - 100))
        found = readable(line, number, model=SONNET, now=number + 1)
    assert len(found) == MOST_KNOWN
    assert [entry.until for entry in found] == [1, *range(number - MOST_KNOWN + 2, number + 1)]


def test_whoever_asks_again_after_more_requests_than_are_kept_is_told_of_all_that_are() -> None:
    line, turns = Line("l", "p", "c"), REQUESTS_KEPT + 22
    for number in range(turns):
        line.extend([Sent(bytes([number]) * 16, b"", "messages", "user", 300)])
        marks = {number: "1h" if number == turns - 30 else "5m"}
        line.accept(sent(number * 100.0, number + 1, marks, tokens=number * 100 + 100, read=number * 100))
        if number in (0, turns - 1):
            found = readable(line, number + 1, model=SONNET, now=number * 100.0 + 1)
    assert found == entries(line.requests, tokens_of(line), model=SONNET, now=turns * 100.0 - 99)
    assert found[0].ttl == "1h"
