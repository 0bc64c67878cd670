"""Completions requests: prompts, holes to fill, where to stop, and what Claude cannot honour."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.openai_completions import Decoded, decode
from sidecar.dialects.openai_completions.fill_in import TEMPLATES, hole_in
from sidecar.dialects.openai_completions.request import NOT_HONOURED
from sidecar.errors import GatewayError
from tests.support.messages_requests import assert_claude_takes


def decoded(**fields: Any) -> Decoded:
    made = decode({"model": "m", "prompt": "def add(", **fields})
    for request in made.requests:
        assert_claude_takes(request)
    return made


def said(made: Decoded) -> list[str]:
    return [request["messages"][0]["content"][0]["text"] for request in made.requests]


def noted(made: Decoded) -> list[tuple[str, str]]:
    return [(note.field, note.action) for note in made.notes]


def test_a_prompt_is_sent_to_the_last_character_and_without_thinking() -> None:
    made = decoded(prompt="  if x:\n    ")
    assert said(made) == ["<before>  if x:\n    </before>"]
    assert made.requests[0]["max_tokens"] == 16
    assert made.requests[0]["thinking"] == {"type": "disabled"}
    assert noted(made) == [("prompt", "changed")]


def test_several_prompts_are_a_request_each() -> None:
    made = decoded(prompt=["a", "b"], n=2, echo=True)
    assert said(made) == ["<before>a</before>", "<before>b</before>"]
    assert (made.n, made.echoed) == (2, ["a", "b"])


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_hole_in_any_template_is_asked_for_like_a_suffix(template: str) -> None:
    prompt = template.format(before_all="", before="a = ", after="\nprint(a)")
    assert said(decoded(prompt=prompt)) == said(decoded(prompt="a = ", suffix="\nprint(a)"))


@pytest.mark.parametrize("template", TEMPLATES)
def test_other_files_before_a_template_stay_before_the_hole(template: str) -> None:
    prompt = template.format(before_all="# other.py\n", before="a = ", after="b")
    assert hole_in(prompt) == ("# other.py\na = ", "b")


WORDS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "[SUFFIX]", "[PREFIX]", "<PRE> ", " <SUF>", " <MID>", "a", " ")


@given(st.lists(st.sampled_from(WORDS), max_size=9))
def test_a_hole_is_where_the_templates_words_come_first(words: list[str]) -> None:
    prompt = "".join(words)
    patterns = [re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*?)", re.escape(template)) for template in TEMPLATES]
    found = next((match for pattern in patterns if (match := re.fullmatch(pattern, prompt, re.DOTALL))), None)
    assert hole_in(prompt) == (found and (found["before_all"] + found["before"], found["after"]))


def test_a_prompt_full_of_the_templates_words_is_read_once() -> None:
    """A pattern would take minutes for it, and nothing else would be served meanwhile."""
    assert hole_in("<fim_prefix>" * 2_000 + "<fim_suffix>" * 2_000 + "<fim_middle>" * 2_000 + "x") is None


@given(st.text(max_size=40))
def test_text_without_a_template_has_no_hole(prompt: str) -> None:
    assert hole_in(prompt) is None


def test_blank_stop_sequences_are_cut_here_and_the_others_at_claude() -> None:
    made = decoded(stop=["\n\n", "END", "", "\n\n"])
    assert made.requests[0]["stop_sequences"] == ["END"]
    assert made.cut == ("\n\n",)
    assert ("stop", "mapped") in noted(made)


@pytest.mark.parametrize(("field", "value"), [(name, 7) for name in NOT_HONOURED])
def test_what_claude_cannot_honour_is_reported(field: str, value: int) -> None:
    assert (field, "dropped") in noted(decoded(**{field: value}))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", {}]}, "prompt[1]"),
        ({"prompt": ["a"] * 5, "n": 2}, "n"),
        ({"prompt": ["a"] * 9}, "prompt"),
        ({"suffix": 1}, "suffix"),
        ({"stop": [1]}, "stop[0]"),
        ({"echo": "yes"}, "echo"),
    ],
)
def test_what_makes_no_sense_is_a_400_that_names_the_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as refused:
        decode({"model": "m", "prompt": "x"} | fields)
    assert (refused.value.status, refused.value.param) == (400, param)
