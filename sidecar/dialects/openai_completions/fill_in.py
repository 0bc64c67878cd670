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

_FORMS: Final = tuple(
    re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*?)", re.escape(template)), re.DOTALL) for template in TEMPLATES
)


def hole_in(prompt: str) -> Hole | None:
    """The hole that a prompt spells in one of the templates; None where it is plain text."""
    for form in _FORMS:
        if (match := form.fullmatch(prompt)) is not None:
            return Hole(match["before_all"] + match["before"], match["after"])
    return None
