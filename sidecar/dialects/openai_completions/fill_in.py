"""Text with a hole in it: how editors write one into a prompt, each by the model that it takes us for."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Hole(NamedTuple):
    """What is to be filled is between the two."""

    before: str
    after: str


TEMPLATES: Final[tuple[str, ...]] = (
    "{before_all}<fim_prefix>{before}<fim_suffix>{after}<fim_middle>",  # StarCoder, StableCode, Granite
    "{before_all}<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>",  # Qwen, CodeGemma
    "{before_all}<|fim_begin|>{before}<|fim_hole|>{after}<|fim_end|>",
    "{before_all}<｜fim▁begin｜>{before}<｜fim▁hole｜>{after}<｜fim▁end｜>",  # DeepSeek
    "{before_all}<PRE> {before} <SUF>{after} <MID>",  # Code Llama
    "{before_all}[SUFFIX]{after}[PREFIX]{before}",  # Codestral
)
"""`before_all` is what some put in front: other files of the repository."""

_FORMS: Final = tuple(tuple(re.split(r"\{(\w+)\}", template)[1:]) for template in TEMPLATES)
"""Names and the words behind each, by turns."""


def hole_in(prompt: str) -> Hole | None:
    """The hole that a prompt spells in one of the templates; None where it is plain text."""
    for form in _FORMS:
        if (found := _read(form, prompt)) is not None:
            return Hole(found["before_all"] + found["before"], found["after"])
    return None


def _read(form: tuple[str, ...], prompt: str) -> dict[str, str] | None:
    """What stands between the words of a template, each taken where it comes first and the last one at the end. Once
    over the prompt: a pattern would try all combinations of words that come often."""
    *begun, last, ending = form
    end = len(prompt) - len(ending)
    if end < 0 or not prompt.endswith(ending):
        return None
    found: dict[str, str] = {}
    position = 0
    for name, word in zip(begun[::2], begun[1::2], strict=True):
        place = prompt.find(word, position, end)
        if place < 0:
            return None
        found[name] = prompt[position:place]
        position = place + len(word)
    found[last] = prompt[position:end]
    return found
