"""Searching alternatives one by one, behind what must stand there, finds what the whole pattern finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.routing.literals import check, search
from sidecar.routing.rules import PATTERNS as FIELDS
from sidecar.routing.rules import shipped
from tests.support.thorough import examples

PATTERNS = [row[field] for row in shipped()["rules"] for field in FIELDS if field in row]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_shipped_pattern_is_one(pattern: str) -> None:
    check(pattern)


@settings(max_examples=examples(100))
@given(st.data())
def test_it_finds_in_any_text_what_the_pattern_finds(data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(PATTERNS))
    matching = data.draw(st.from_regex(pattern, fullmatch=False).map(str.lower) | st.text(max_size=40))
    text = data.draw(st.sampled_from(["", "we want to ", "please\n"])) + matching
    assert (search(pattern)(text) is None) == (re.compile(pattern).search(text) is None)


@pytest.mark.parametrize(
    ("pattern", "text", "finds"),
    [
        (r"names?\b|\bslug", "a nam", False),
        (r"a{0,3}bcd|x", "bcd", True),
        (r"(?:title|name)s? for", "names for", True),
        (r"fail[ed]{2} again|\(literal\|bar\)", "failed again", True),
        (r"one|\(literal\|bar\)", "(literal|bar)", True),
        (r"[|]x", "|x", True),
    ],
)
def test_alternatives_are_told_apart(pattern: str, text: str, finds: bool) -> None:
    assert (search(pattern)(text) is not None) is finds is (re.search(pattern, text) is not None)
