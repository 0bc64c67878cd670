"""Files changed in many places, as a diff against an earlier copy."""

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sidecar.references.budget import Budget
from sidecar.references.index import Finder, LineIndex
from sidecar.references.near_copies import NearCopy, apply_diff, near_copy
from sidecar.references.reading import Reading
from sidecar.references.sources import Origin

LINES = [f"line {number} of a file" for number in range(60)]


def copy_of(new: list[str], old: list[str], fewest: int = 3) -> NearCopy | None:
    index = LineIndex()
    index.add("\n".join(old), Origin("old"))
    reading, budget = Reading("\n".join(new)), Budget(10**9)
    runs = [*Finder(reading, (index,), budget).runs(0, len(reading), lambda first, end: end - first >= fewest)]
    return near_copy(reading.keys, runs, budget)


def test_the_diff_shows_what_changed_and_no_more() -> None:
    new = [*LINES[:20], "a new line", *LINES[20:40], *LINES[41:]]
    copy = copy_of(new, LINES)
    assert copy is not None
    assert (copy.first, copy.end, copy.base_lines) == (0, 60, 60)
    assert copy.diff == "@@ -20,0 +21 @@\n+a new line\n@@ -41 +41,0 @@\n-line 40 of a file"
    assert apply_diff(LINES, copy.diff) == new


def test_a_gap_too_large_to_compare_is_replaced_whole() -> None:
    new = [*LINES[:20], *(f"new {number}" for number in range(300)), *LINES[40:]]
    copy = copy_of(new, LINES)
    assert copy is not None
    assert copy.diff.startswith("@@ -21,20 +21,300 @@\n-line 20")
    assert apply_diff(LINES, copy.diff) == new


def test_one_run_alone_makes_no_near_copy() -> None:
    assert copy_of([*LINES[:20], "new"], LINES) is None


@pytest.mark.parametrize(
    "diff",
    ["", "no hunk", "@@ -1 +1 @@\n-another line\n+new", "@@ -99 +99 @@\n+new", "@@ -5,3 +5 @@\n-line 4 of a file"],
)
def test_a_diff_against_something_else_is_refused(diff: str) -> None:
    assert apply_diff(LINES, diff) is None


def test_hunks_that_go_backwards_are_refused() -> None:
    assert apply_diff(LINES, "@@ -9,0 +10 @@\n+a\n@@ -2,0 +3 @@\n+b") is None


@given(st.lists(st.tuples(st.integers(0, 59), st.sampled_from(["", "+new", "-old", "@@ -1 +1 @@", None])), max_size=6))
@examples(max_examples=100)
def test_applying_the_diff_always_gives_the_new_lines(changes: list[tuple[int, str | None]]) -> None:
    new: list[str] = [*LINES]
    for at, line in changes:
        new[at % len(new) : at % len(new) + 1] = [] if line is None else [line]
    copy = copy_of(new, LINES)
    if copy is not None:
        base = LINES[copy.base.at : copy.base.at + copy.base_lines]
        assert apply_diff(base, copy.diff) == new[copy.first : copy.end]
