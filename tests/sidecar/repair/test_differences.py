"""Hunks turn one text exactly into the other, and say little where little changed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.repair.differences import differences, patched
from tests.support.thorough import examples

PROSE = "You are a careful engineer who reads before writing and says what is uncertain. " * 60

LINES = st.lists(st.sampled_from(["", "a", "b", "    }", "b\r", "c\u2028d", "e" * 300, "é \U0001f600"]), max_size=12)
WORDS = st.lists(st.sampled_from(["the", "time", "is", "10:04", "10:05", "  ", "x" * 250, "\u3042" * 230]), max_size=40)
TEXTS = st.one_of(st.text(max_size=60), LINES.map("\n".join), WORDS.map(" ".join))


@settings(max_examples=examples(100), deadline=None)
@given(TEXTS, TEXTS)
def test_hunks_turn_the_old_text_exactly_into_the_new_one(old: str, new: str) -> None:
    assert patched(old, differences(old, new)) == new


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_a_text_edited_here_and_there_is_rebuilt(parts: list[str], data: st.DataObject) -> None:
    edited = [data.draw(TEXTS) if data.draw(st.booleans()) else part for part in parts]
    old, new = "\n".join(parts), "\n".join(edited)
    assert patched(old, differences(old, new)) == new


def test_equal_texts_have_no_hunks() -> None:
    assert differences("a\nb\n", "a\nb\n") == []


def test_two_changed_lines_far_apart_are_two_hunks() -> None:
    old = "\n".join(f"line {number}" for number in range(2_000))
    new = old.replace("line 3\n", "LINE 3\n").replace("line 1990\n", "LINE 1990\n")
    assert [(hunk.line, hunk.new) for hunk in differences(old, new)] == [(3, ("LINE 3",)), (1990, ("LINE 1990",))]


def test_a_change_in_a_long_line_shows_the_words_around_it_and_not_the_line() -> None:
    old = PROSE + "It is now 10:04 in Oslo. " + PROSE
    (hunk,) = differences(old, old.replace("10:04", "10:05"))
    assert hunk.new == ("It is now 10:05 in",)


def test_two_changes_in_a_long_line_are_told_apart() -> None:
    old = "It is now 10:04 in Oslo. " + PROSE + "Spent so far: $0.10 of $5"
    hunks = differences(old, old.replace("10:04", "10:05").replace("$0.10", "$0.12"))
    assert [hunk.new for hunk in hunks] == [("It is now 10:05 in",), ("Spent so far: $0.12 of",)]


def test_a_long_word_without_spaces_is_not_sent_again_whole() -> None:
    old = "\u3042" * 3_000 + "1" + "\u3042" * 3_000
    (hunk,) = differences(old, old.replace("1", "2"))
    assert len(hunk.new[0]) < 60


def test_a_line_that_is_mostly_new_is_one_whole_line() -> None:
    (hunk,) = differences(PROSE, PROSE.upper())
    assert hunk.span is None


def test_a_final_newline_is_a_difference() -> None:
    assert patched("a", differences("a", "a\n")) == "a\n"
    assert patched("a\n", differences("a\n", "a")) == "a"
