"""What clients make of a model's name: prefixes, suffixes and spellings, taken off one by one.

Sources: Cursor's picker appends `-fast` and `-thinking-<effort>`, and it steers by names that contain `claude-`, so its
users write `cgw:opus` or `anthropic:sonnet`; LiteLLM and OpenRouter put the provider in front; OpenRouter writes
`claude-opus-4.5`, Cursor `claude-4.5-sonnet`; Claude Code appends `[1m]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

PREFIX = re.compile(r"(?:(?:cgw|claude-gateway|anthropic|openai|openrouter)[:/]|cgw-)", re.IGNORECASE)

SUFFIX = re.compile(
    r"(?:\[1m\]|-fast|-thinking(?:-(?P<depth>low|medium|high|xhigh|max))?|-(?P<effort>low|medium|high|xhigh))$"
)
"""What may stand behind a model's name. A bare `-max` is not taken: OpenAI has models that end so."""

VERSION_FIRST = re.compile(r"claude-(?P<version>\d(?:[.-]\d)?)-(?P<line>[a-z]+)")

DATED = re.compile(r"(?P<base>claude-.+)-20\d{6}")
"""`claude-opus-5-5-20260922`: a model and the day it was cut."""

THINKING = "high"
"""The effort of a `-thinking` that names none: the API's own default on most models."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """One reading of a name. `verbatim` keeps the client's own letters, for ids that pass on unread."""

    name: str
    verbatim: str
    effort: str | None = None
    note: str | None = None


@lru_cache(maxsize=256)
def spellings(asked: str) -> tuple[Spelling, ...]:
    """Every reading of a name, from the most literal to the barest."""
    found = [Spelling(asked, asked)]
    while prefix := PREFIX.match(found[-1].verbatim):
        found.append(_without_prefix(found[-1], prefix.end()))
    lowered = replace(found[-1], name=found[-1].name.strip().lower(), verbatim=found[-1].verbatim.strip())
    found.append(lowered)
    while suffix := SUFFIX.search(found[-1].name):
        found.append(_without_suffix(found[-1], suffix))
    found += [replace(spelling, name=other) for spelling in found for other in _respelt(spelling.name)]
    return tuple(dict.fromkeys(found))


def _without_prefix(spelling: Spelling, length: int) -> Spelling:
    return replace(spelling, name=spelling.name[length:], verbatim=spelling.verbatim[length:])


def _without_suffix(spelling: Spelling, suffix: re.Match[str]) -> Spelling:
    effort = suffix["depth"] or suffix["effort"] or spelling.effort
    if suffix[0] == "-thinking":
        effort = effort or THINKING
    note = spelling.note
    if suffix[0] == "-fast":
        note = "Fast mode costs twice as much and is left off; send speed: fast to have it."
    length = len(suffix[0])
    return Spelling(spelling.name[:-length], spelling.verbatim[:-length], effort, note)


def _respelt(name: str) -> list[str]:
    """`claude-opus-4.5` and `claude-4.5-opus` as Anthropic writes them."""
    if not name.startswith("claude-"):
        return []
    dashed = name.replace(".", "-")
    turned = VERSION_FIRST.fullmatch(dashed)
    return [dashed, *([f"claude-{turned['line']}-{turned['version']}"] if turned else [])]
