"""Finding lines that stand somewhere already."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sidecar.references.budget import Budget, Overspent
from sidecar.references.index import Finder, LineIndex, Run
from sidecar.references.reading import Reading
from sidecar.references.sources import Origin

FILE = [f"line {number} of the file" for number in range(30)]


def runs_of(text: Sequence[str], *earlier: Sequence[str], work: int = 10**9, fewest: int = 3) -> list[Run]:
    index = LineIndex()
    for number, lines in enumerate(earlier):
        index.add("\n".join(lines), Origin(f"text {number}"))
    reading = Reading("\n".join(text))
    finder = Finder(reading, (index, LineIndex()), Budget(work))
    return [*finder.runs(0, len(reading), lambda first, end: end - first >= fewest)]


def test_a_part_of_an_earlier_text_is_found_with_its_place() -> None:
    (run,) = runs_of(["new", *FILE[5:15], "new"], ["other"] * 4, FILE)
    assert run.source is not None
    assert (run.first, run.end, run.at, run.source.origin.called) == (1, 11, 5, "text 1")


def test_the_longest_copy_wins_and_of_equal_ones_the_first() -> None:
    (run,) = runs_of(FILE, FILE[:10], FILE[:20], FILE, FILE)
    assert run.source is not None
    assert (run.end - run.first, run.source.origin.called) == (30, "text 2")


def test_lines_further_up_in_the_same_text_are_found() -> None:
    (run,) = runs_of([*FILE, "and again", *FILE])
    assert (run.first, run.end, run.at, run.source) == (31, 61, 0, None)


def test_lines_that_became_a_reference_are_nothing_to_refer_to() -> None:
    first, second = runs_of([*FILE[:10], "new", *FILE[:10]], FILE)
    assert first.source is not None
    assert second.source is not None


def test_a_text_of_one_line_over_and_over_refers_to_lines_that_stay() -> None:
    runs = runs_of(["the same line"] * 50)
    gone = {line for run in runs for line in range(run.first, run.end)}
    left = {line for run in runs for line in range(run.at, run.at + run.end - run.first)}
    assert gone
    assert not gone & left


def test_markers_and_their_diffs_are_nothing_to_refer_to() -> None:
    sent = [*FILE[:5], "[cgw: same 3 lines as above]", *FILE[5:10]]
    assert [(run.first, run.end) for run in runs_of(sent, sent)] == [(0, 5), (6, 11)]


def test_braces_and_blanks_lead_nowhere() -> None:
    dull = ["", "}", "  },", ""] * 100
    assert runs_of(dull, dull) == []


def test_more_work_than_there_is_stops_the_search() -> None:
    with pytest.raises(Overspent):
        runs_of(FILE, FILE, work=50)


def test_repeated_lines_cost_no_more_than_their_number() -> None:
    """Without a bound on places and diagonals this would compare two million lines."""
    cycle = [f"line {number}" for number in range(5)] * 400
    assert runs_of(cycle, cycle, work=10 * 2_000 * 40)


@given(st.lists(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "", "}"]), max_size=25), max_size=4))
@examples(max_examples=100)
def test_a_run_is_always_the_same_lines(texts: list[list[str]]) -> None:
    for number, text in enumerate(texts):
        done = 0
        for run in runs_of(text, *texts[:number]):
            assert run.first >= done
            done = run.end
            count = run.end - run.first
            source = text if run.source is None else run.source.text.split("\n")
            assert source[run.at : run.at + count] == text[run.first : run.end]
