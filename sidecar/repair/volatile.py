"""What changes by itself: dates, clock times, costs, open tabs. Readable tables, one row a kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)[a-z]{0,6}\.?"
_WEEKDAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs?)?|Fri|Sat(?:ur)?|Sun)(?:day)?\b\.?"
_DURATION = (
    r"\d+(?:\.\d+)?\s?"
    r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|months?|years?)\b"
)
_AMOUNT = r"(?<![\d,.])\d[\d,.]*+\s?[kKM]?"


class Kind(NamedTuple):
    name: str
    pattern: str
    """Of the characters that change by themselves, without regard to case."""


KINDS: Final[tuple[Kind, ...]] = (
    # First match wins, so what is made of others comes before them.
    Kind("moment", r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?(?:Z\b|[+-]\d\d:?\d\d\b))?"),
    Kind("date", r"\b(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[/.]\d{1,2}[/.](?:\d{4}|\d\d))\b"),
    Kind(
        "date in words",
        rf"(?:\b{_WEEKDAY},?\s)?(?:the\s)?"
        rf"(?:\b\d{{1,2}}(?:st|nd|rd|th)?\.?\s(?:of\s)?{_MONTH}|\b{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?\b)"
        rf"(?:,?\s\d{{4}}\b)?",
    ),
    Kind("weekday", rf"\b{_WEEKDAY}"),
    Kind("clock time", r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?!\d)(?:\s?[ap]\.?m\b\.?)?|\b\d{1,2}\s?[ap]\.?m\b\.?"),
    Kind("time zone", r"\b(?:UTC|GMT)(?:\s?[+-]\d{1,2}(?::?\d\d)?)?(?!\w)|[+-]\d\d:\d\d\b"),
    Kind("time zone", r"\b(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/[A-Za-z_/]+"),
    Kind("time zone", r"(?-i:\b(?:[ECMP][SD]T|CES?T|BST|IST|JST|AE[SD]T)\b)"),
    Kind("unix time", r"\b1[5-9]\d{8}(?:\d{3}|\.\d+)?\b"),
    Kind("cost", r"[$€£]\s?\d[\d,]*(?:\.\d+)?|\b\d+(?:\.\d+)?\s?(?:USD|EUR|GBP|cents?)\b"),
    Kind(
        "tokens",
        rf"{_AMOUNT}(?:\s?(?:/|of|out of)\s?{_AMOUNT})?\s?tokens?\b(?:\s(?:used|left|remaining))?"
        r"(?:\s?\(\d+(?:\.\d+)?%\))?",
    ),
    Kind("context used", r"\b\d+(?:\.\d+)?%(?=\s(?:of\s(?:the\s)?context|used|full|left|remaining|context))"),
    Kind("cursor", r"\bcursor\b[^\n\d]{0,40}\d+(?:\s?[:,]\s?(?:col(?:umn)?\.?\s?)?\d+)?|\bLn \d+, Col \d+"),
    Kind(
        "git status",
        r"\b\d+ (?:files? changed|insertions?\(\+\)|deletions?\(-\)|(?:files? )?(?:modified|untracked|(?:un)?staged))"
        r"(?!\w)|\b(?:ahead|behind)(?:\sof\s\S+)?(?:\sby)?\s\d+(?:\scommits?)?",
    ),
    Kind("elapsed", rf"\b(?:{_DURATION}\s?){{1,6}}ago\b"),
    Kind(
        "elapsed", rf"\b(?:elapsed|uptime|duration|(?:running|up|idle) for)\b[^\n\d]{{0,20}}(?:{_DURATION}\s?){{1,6}}"
    ),
)


class Section(NamedTuple):
    """Lines below a heading that change by themselves, whatever they say."""

    name: str
    opens: str
    """The whole heading line."""
    closes: str
    """The start of the first line that is not of it."""


_NEXT = r"$|#|</"
SECTIONS: Final[tuple[Section, ...]] = (
    Section("visible files (Cline, Roo)", r"# [\w ]+ Visible Files", _NEXT),
    Section("open tabs (Cline, Roo)", r"# [\w ]+ Open Tabs", _NEXT),
    Section("current time (Cline, Roo)", r"# Current Time", _NEXT),
    Section("current cost (Cline, Roo)", r"# Current Cost", _NEXT),
    Section("context window (Cline)", r"# Context Window Usage", _NEXT),
    Section("open files (Cursor)", r"<open_and_recently_viewed_files>", r"</open_and_recently_viewed_files>"),
    Section("current file (Copilot)", r"<editorContext>", r"</editorContext>"),
    Section("active file (Codex)", r"## Active file:.*", _NEXT),
    Section("open tabs (Codex)", r"## Open tabs:", _NEXT),
)

_ANY_KIND = re.compile(
    "|".join(f"(?P<kind_{at}>{kind.pattern})" for at, kind in enumerate(KINDS)),
    re.IGNORECASE,
)
_OPENINGS = tuple((re.compile(section.opens), re.compile(section.closes)) for section in SECTIONS)


def alike(old: str, new: str) -> bool:
    """Whether two texts differ in nothing but what changes by itself."""
    return _masked(old) == _masked(new)


def _masked(text: str) -> list[str]:
    """The text, in the place of what changes by itself the name of its kind."""
    masked: list[str] = []
    end = 0
    for found in _ANY_KIND.finditer(text):
        name = KINDS[int((found.lastgroup or "kind_0").removeprefix("kind_"))].name
        masked += [text[end : found.start()], f"\0{name}"]
        end = found.end()
    return [*masked, text[end:]]


def free_lines(lines: Sequence[str]) -> set[int]:
    """Indices of the lines that belong to a section: its heading, what stands below, and the empty line behind."""
    free: set[int] = set()
    closes: re.Pattern[str] | None = None
    for at, line in enumerate(lines):
        bare = line.rstrip("\r")
        if closes is not None and closes.match(bare):
            if not bare:
                free.add(at)
            closes = None
        if closes is None:
            closes = next((closing for opening, closing in _OPENINGS if opening.fullmatch(bare)), None)
        if closes is not None:
            free.add(at)
    return free
