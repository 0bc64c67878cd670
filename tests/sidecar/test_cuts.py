import re

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sidecar.cuts import cut, cut_id, shares, stub

MARKER = re.compile(
    r"\[cgw cut: ([\d,]+) characters in ([\d,]+) lines? left out here\. To read all of it: cgw show ([0-9a-f]{12})\]"
)

LOG = "".join(f"line {number:04} of the build log\n" for number in range(2_000))


def test_a_text_within_its_limit_stays() -> None:
    assert cut("short", 5) is None


def test_head_and_tail_stay_in_whole_lines() -> None:
    short = cut(LOG, 2_000)
    assert short is not None
    before, _, _, _, behind = MARKER.split(short.text)
    assert LOG.startswith(before)
    assert LOG.endswith(behind.removeprefix("\n"))
    assert before.endswith("\n")
    assert behind.startswith("\nline ")
    assert len(short.text) <= 2_000


def test_the_marker_counts_what_is_missing_and_names_the_whole() -> None:
    short = cut(LOG, 2_000)
    assert short is not None
    found = MARKER.search(short.text)
    assert found is not None
    characters, lines, name = found.groups()
    rest = MARKER.sub("", short.text).replace("\n\n", "\n")
    assert int(characters.replace(",", "")) == short.characters == len(LOG) - len(rest)
    assert int(lines.replace(",", "")) == short.lines == LOG.count("\n") - rest.count("\n")
    assert name == short.id == cut_id(LOG)


def test_a_single_huge_line_is_cut_inside() -> None:
    line = "x" * 100_000
    short = cut(line, 1_000)
    assert short is not None
    assert short.text.startswith("xxx")
    assert short.text.endswith("xxx")
    assert 900 < len(short.text) <= 1_000
    assert short.lines == 1


def test_a_huge_line_behind_short_ones_is_cut_inside() -> None:
    short = cut("title\n" + "x" * 50_000 + "\nend\n", 1_000)
    assert short is not None
    assert short.text.startswith("title\nxxx")
    assert short.text.endswith("xxx\nend\n")


@pytest.mark.parametrize("character", ["e\u0301", "👩\u200d👩\u200d👧", "👍🏽", "\r\n"])
def test_a_character_of_several_code_points_is_never_split(character: str) -> None:
    for limit in range(300, 320):
        short = cut(character * 1_000, limit)
        assert short is not None
        head, tail = re.split(r"\n?" + MARKER.pattern.replace("(", "(?:") + r"\n", short.text)
        assert head.removesuffix("\r").replace(character, "") == ""
        assert tail.replace(character, "") == ""


def test_a_limit_without_room_for_the_marker_leaves_the_marker() -> None:
    short = cut(LOG, 1)
    assert short is not None
    assert MARKER.fullmatch(short.text.strip())


def test_a_text_that_a_marker_would_not_shorten_stays() -> None:
    assert cut("a little too long", 16) is None


def test_the_marker_can_lead_to_another_text_than_the_one_that_is_cut() -> None:
    short = cut(LOG, 1_000, whole="as the client wrote it")
    assert short is not None
    assert short.id == cut_id("as the client wrote it")


def test_a_stub_is_one_line_that_tells_what_stood_there() -> None:
    line = stub("result of read_file", LOG)
    assert "\n" not in line
    assert "result of read_file" in line
    assert "54,000 characters in 2,000 lines" in line
    assert cut_id(LOG) in line


@pytest.mark.parametrize(
    ("sizes", "limit", "dealt"),
    [
        ([10, 10], 100, [10, 10]),
        ([10, 1_000], 100, [10, 90]),
        ([1_000, 1_000], 100, [50, 50]),
        ([1_000, 30, 1_000, 5], 100, [32, 30, 33, 5]),
        ([], 100, []),
    ],
)
def test_smaller_texts_stay_whole_and_larger_ones_share(sizes: list[int], limit: int, dealt: list[int]) -> None:
    assert shares(sizes, limit) == dealt


@given(st.lists(st.text(max_size=200), max_size=60).map("\n".join), st.integers(min_value=1, max_value=4_000))
@examples(max_examples=200)
def test_a_cut_text_is_always_shorter_fits_where_it_can_and_is_cut_the_same_way_again(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert short == cut(text, limit)
    if short is None:
        assert len(text) <= limit + 140
        return
    assert len(short.text) < len(text)
    assert len(short.text) <= max(limit, 140)
    assert cut(short.text, max(limit, 140)) is None
