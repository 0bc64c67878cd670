"""Line numbers that read tools write in front of lines, told apart from lines that only look like it.

A number counts as a prefix where at least three lines in a row carry the same style and count up by one. Rows of
`1: a` in a YAML file are numbered too by that measure, which does no harm: what is taken off is put back exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

FEWEST: Final = 3
"""Lines in a row that make numbers line numbers."""

SEPARATORS: Final = {
    "t": "\t",  # cat -n: Claude Code, Zed, OpenHands, SWE-agent's editor
    "a": "→",  # Claude Code until 2025
    "p": " | ",  # Cline, Roo
    "q": " |",
    "b": "|",  # Cursor
    "d": "| ",  # opencode until 2025
    "s": ": ",  # opencode, Kilo
    "k": ":",  # SWE-agent's window
}
"""What stands between number and line, by the letter that names it in a marker."""
_CODES: Final = {separator: code for code, separator in SEPARATORS.items()}
_SPACED: Final = frozenset({" |", "|", ":"})
"""Separators that some clients write with a blank behind them."""

_PREFIX: Final = re.compile(r"( *)(\d{1,9})(\t|→| ?\||:)")
_DIGITS: Final = frozenset("0123456789")
_WRITTEN: Final = re.compile(r"([a-z])(\d+)(z?)_(\d+)")


@dataclass(frozen=True, slots=True)
class Numbering:
    """How one row of lines is numbered. `start` is the number of its first line."""

    separator: str
    width: int
    zero_filled: bool
    start: int

    def prefix(self, offset: int) -> str:
        """What stands in front of the line `offset` lines behind the first."""
        number = self.start + offset
        return f"{number:{'0' if self.zero_filled else ''}>{self.width}}{self.separator}"

    def at(self, offset: int) -> Numbering:
        """The numbering of the rest, from the line `offset` lines behind the first."""
        return Numbering(self.separator, self.width, self.zero_filled, self.start + offset)

    def __str__(self) -> str:
        return f"{_CODES[self.separator]}{self.width}{'z' if self.zero_filled else ''}_{self.start}"

    @classmethod
    def parse(cls, written: str) -> Numbering | None:
        """The other way of `str`; None where it is not one."""
        found = _WRITTEN.fullmatch(written)
        if found is None or found[1] not in SEPARATORS or len(found[2]) > 3 or len(found[4]) > 9:
            return None
        return cls(SEPARATORS[found[1]], int(found[2]), bool(found[3]), int(found[4]))


@dataclass(frozen=True, slots=True)
class Numbered:
    """Lines `first` to `end` (not included) are numbered in one style."""

    first: int
    end: int
    numbering: Numbering


def maybe_numbered(lines: Sequence[str]) -> bool:
    """A quick look: whether any line begins with a digit, blanks before it not counted."""
    return not _DIGITS.isdisjoint([line[:1] for line in map(str.lstrip, lines)])


def numbered_rows(lines: Sequence[str]) -> Iterator[Numbered]:
    """The numbered rows among lines, in order. Every line of a row is its prefix and what follows, exactly."""
    first = 0
    row: list[re.Match[str]] = []
    for index, line in enumerate(lines):
        found = _PREFIX.match(line)
        if found is not None and row and _goes_on(row[-1], found):
            row.append(found)
            continue
        if len(row) >= FEWEST:
            yield from _row(first, row)
        first, row = index, [found] if found is not None else []
    if len(row) >= FEWEST:
        yield from _row(first, row)


def _goes_on(before: re.Match[str], found: re.Match[str]) -> bool:
    return found[3] == before[3] and int(found[2]) == int(before[2]) + 1


def _row(first: int, row: list[re.Match[str]]) -> Iterator[Numbered]:
    separator = row[0][3]
    if separator in _SPACED and all(found.string.startswith(" ", found.end()) for found in row):
        separator += " "
    digits = row[0][2]
    width = len(row[0][1]) + len(digits)
    zero_filled = len(digits) > 1 and digits.startswith("0")
    numbering = Numbering(separator, width, zero_filled, int(digits))
    same = 0
    while same < len(row) and row[same].string.startswith(numbering.prefix(same)):
        same += 1
    if same >= FEWEST:
        yield Numbered(first, first + same, numbering)
