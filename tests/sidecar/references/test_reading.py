"""Texts as lines: what two ways of writing the same lines have in common, and what tells them apart."""

import json

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sidecar.references.reading import Reading

LINES = ["import os", "", '  say("hi\\n")', "größer\tals", "end"]
PIECES = ["a", "1", "2: ", "\t", "\n", "\r\n", "\\", "\\n", "\\nline\\nline\\n", '"', "é", "|"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def test_numbers_and_carriage_returns_do_not_make_lines_different() -> None:
    plain = Reading("\n".join(LINES))
    returns = Reading("\r\n".join(LINES))
    numbered = Reading("\n".join(f"{number:6}\t{line}" for number, line in enumerate(LINES, 1)))
    assert plain.keys == LINES
    assert returns.keys == LINES
    assert numbered.keys == LINES


def test_a_file_inside_json_has_the_same_lines_but_for_its_first_and_last() -> None:
    inside = Reading(json.dumps([{"path": "a.py", "text": "\n".join(LINES)}], ensure_ascii=False))
    assert inside.keys[1:-1] == LINES[1:-1]


def test_a_backslash_that_is_escaped_ends_no_line_inside_json() -> None:
    inside = Reading(json.dumps({"text": "one\\now\ntwo\\n\nthree\nfour\nfive"}))
    assert inside.keys[1:4] == ["two\\n", "three", "four"]


def test_numbers_inside_json_are_known_too() -> None:
    text = "\n".join(f"{number} | {line}" for number, line in enumerate(LINES * 2, 462))
    inside = Reading(json.dumps({"result": text}, ensure_ascii=False))
    assert inside.keys[1:-1] == (LINES * 2)[1:-1]
    numberings = [one.form.numbering for one in inside.stretches if one.form.numbering is not None]
    assert [one.start for one in numberings] == [463]


@given(TEXTS)
@examples(max_examples=150)
def test_the_forms_always_give_back_every_character(text: str) -> None:
    reading = Reading(text)
    assert [one.first for one in reading.stretches] == [0, *(one.end for one in reading.stretches)][:-1]
    assert reading.stretches[-1].end == len(reading)
    for stretch in reading.stretches:
        written = stretch.form.write(reading.keys[stretch.first : stretch.end])
        assert text[reading.starts[stretch.first] : reading.end_of(stretch.end - 1)] == written
