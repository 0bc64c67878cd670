"""Amendments are short, say what they replace, and give back exactly what the client wrote."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.repair.amendments import ALWAYS_SMALL, Place, amended, amendment, read
from sidecar.repair.changes import changed
from sidecar.tokens.estimator import TokenEstimator
from tests.support.thorough import examples

SYSTEM = Place("system", 0, 0)
RULES = "".join(f"Rule {number}: read before you write.\n" for number in range(1, 60))

LINES = st.lists(
    st.sampled_from(["", "a", "-b", "+c", "@@ -1 +1 @@", " d", "e\r", "f\u2028g", "\u00e9", "h" * 300]), max_size=10
)
TEXTS = st.one_of(st.text(max_size=80), LINES.map("\n".join))
PLACES = st.one_of(
    st.builds(Place, st.just("system"), st.just(0), st.integers(0, 9)),
    st.builds(Place, st.just("messages"), st.integers(0, 300), st.integers(0, 9)),
)


def block(*texts: str) -> dict[str, Any]:
    if len(texts) == 1:
        return {"type": "text", "text": texts[0]}
    return {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": one} for one in texts]}


def written(old: tuple[str, ...], new: tuple[str, ...], place: Place = SYSTEM, turn: int = 3) -> str | None:
    change = changed(block(*old), block(*new))
    assert change is not None
    return amendment(change, place, turn)


def told(old: str, new: str) -> str:
    text = written((old,), (new,))
    assert text is not None
    return text


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3), PLACES, st.integers(0, 500))
def test_an_amendment_gives_back_the_clients_texts_exactly(
    pairs: list[tuple[str, str]], place: Place, turn: int
) -> None:
    old, new = zip(*pairs, strict=True)
    text = written(old, new, place, turn)
    if text is None:  # only a large one may be too large
        assert sum(map(len, old + new)) > ALWAYS_SMALL / 2
        return
    found = read(text)
    assert found is not None
    assert found.place == place
    assert amended(old, found, turn) == list(new)


@settings(max_examples=examples(80), deadline=None)
@given(TEXTS)
def test_no_text_by_chance_is_an_amendment(text: str) -> None:
    assert read(text) is None


@settings(max_examples=examples(50), deadline=None)
@given(TEXTS, TEXTS, st.integers(0, 50), st.integers(0, 50))
def test_a_copy_that_stands_elsewhere_or_speaks_of_another_text_is_not_applied(
    old: str, new: str, turn: int, elsewhere: int
) -> None:
    found = read(told(old, new))
    assert found is not None
    if elsewhere != 3:
        assert amended([old], found, elsewhere) is None
    assert amended([old + "!"], found, 3) is None
    assert amended([], found, 3) is None


def test_a_minute_clock_takes_few_tokens() -> None:
    text = told(f"{RULES}Current time: 10:04\n", f"{RULES}Current time: 10:05\n")
    header, *diff = text.split("\n")
    assert header.endswith("to the system prompt; replaces earlier ones]")
    assert diff == ["@@ -60 +60 @@", "+Current time: 10:05"]
    estimator = TokenEstimator()
    assert estimator.tokens("claude-sonnet-5-5", "default", estimator.count_text(text)) <= 60


def test_a_clock_in_a_long_line_takes_few_characters() -> None:
    line = RULES.replace("\n", " ") + "The time is 10:04 now." + RULES.replace("\n", " ")
    assert len(told(line, line.replace("10:04", "10:05"))) < 150


def test_what_does_not_tell_by_itself_what_it_replaces_shows_the_old_lines() -> None:
    assert told("a\nbe brief\nb", "a\nbe long\nb").split("\n")[1:] == ["@@ -2 +2 @@", "-be brief", "+be long"]


def test_a_long_text_that_became_a_note_is_not_shown_in_full() -> None:
    text = told(RULES, "[The newest read of this file stands below.]")
    assert len(text) < 300
    assert text.split("\n")[2:] == [
        "-Rule 1: read before you write.",
        "-(58 more lines)",
        "-",
        "+[The newest read of this file stands below.]",
    ]


def test_an_insertion_says_which_line_it_follows() -> None:
    assert told("a\nb", "a\nnew\nb").split("\n")[1:] == ["@@ -1,0 +2 @@", " a", "+new"]


def test_a_change_that_was_taken_back_is_told_too() -> None:
    text = told("The time is 10:04.", "The time is 10:04.")
    assert text.split("\n")[1:] == ["It reads as first sent again."]


def test_a_text_that_is_mostly_new_is_not_amended() -> None:
    assert written((RULES * 3,), (RULES.upper() * 3,)) is None


def test_places_read_as_a_person_would_say_them() -> None:
    assert str(Place("system", 0, 0)) == "the system prompt"
    assert str(Place("system", 0, 1)) == "block 2 of the system prompt"
    assert str(Place("messages", 2, 0)) == "message 3"
    assert str(Place("messages", 2, 3)) == "block 4 of message 3"
