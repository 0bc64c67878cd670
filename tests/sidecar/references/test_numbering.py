"""Line numbers: told from what only looks like them, and put back exactly."""

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sidecar.references.numbering import SEPARATORS, Numbering, numbered_rows

CLIENTS = {
    "claude code": "     9\timport os\n    10\t\n    11\timport sys",
    "claude code of 2025": "     9→import os\n    10→\n    11→import sys",
    "cline": " 9 | import os\n10 | \n11 | import sys",
    "cursor": "     9|import os\n    10|\n    11|import sys",
    "opencode": "9: import os\n10: \n11: import sys",
    "opencode of 2025": "00009| import os\n00010| \n00011| import sys",
    "swe-agent": "9:import os\n10:\n11:import sys",
}


@pytest.mark.parametrize("text", CLIENTS.values(), ids=CLIENTS)
def test_each_clients_numbers_are_known(text: str) -> None:
    (row,) = numbered_rows(text.split("\n"))
    assert row.keys == ["import os", "", "import sys"]
    assert row.numbering.start == 9


@pytest.mark.parametrize(
    "text", ["1: a\n2: b", "3: a\n3: b\n3: c", "3: a\n2: b\n1: c", "1: a\nb\n2: c", "12:30 tea\n12:45 cake\n13:00 walk"]
)
def test_two_lines_or_numbers_that_do_not_count_up_are_no_line_numbers(text: str) -> None:
    assert [*numbered_rows(text.split("\n"))] == []


def test_a_search_result_is_not_numbered_but_the_file_behind_it_is() -> None:
    lines = ["12:def a", "40:def b", "7: x", "8: y", "9: z", "end"]
    (row,) = numbered_rows(lines)
    assert (row.first, row.end, row.keys) == (2, 5, ["x", "y", "z"])


@given(
    st.sampled_from(sorted(SEPARATORS.values())),
    st.integers(1, 8),
    st.booleans(),
    st.integers(0, 10**6),
    st.lists(st.text(st.characters(exclude_characters="\n\r"), max_size=8), min_size=3, max_size=12),
)
@examples(max_examples=100)
def test_a_row_is_always_its_numbers_and_its_keys(
    separator: str, width: int, zero_filled: bool, start: int, keys: list[str]
) -> None:
    numbering = Numbering(separator, width, zero_filled, start)
    lines = [numbering.prefix(offset) + key for offset, key in enumerate(keys)]
    for row in numbered_rows(lines):
        again = [row.numbering.prefix(offset) + key for offset, key in enumerate(row.keys)]
        assert again == lines[row.first : row.end]


@given(st.sampled_from(sorted(SEPARATORS.values())), st.integers(0, 999), st.booleans(), st.integers(0, 10**9 - 1))
def test_a_numbering_is_read_back_from_how_a_marker_writes_it(
    separator: str, width: int, zero_filled: bool, start: int
) -> None:
    numbering = Numbering(separator, width, zero_filled, start)
    assert Numbering.parse(str(numbering)) == numbering


@pytest.mark.parametrize("written", ["", "t6", "x6_1", "t6_", "t9999_1", "t6z1", "t6_99999999999"])
def test_what_no_marker_writes_is_no_numbering(written: str) -> None:
    assert Numbering.parse(written) is None
