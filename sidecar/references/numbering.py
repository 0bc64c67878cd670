"""Line numbers that read tools write in front of lines, told apart from lines that only look like it.

A number counts as a prefix where at least three lines in a row carry the same style and count up by one. Rows of
`1: a` in a YAML file are numbered too by that measure, which does no harm: what is taken off is put back exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

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


class Numbered(NamedTuple):
    """Lines from `first` on are numbered in one style; `keys` is what stands behind the numbers."""

    first: int
    numbering: Numbering
    keys: list[str]

    @property
    def end(self) -> int:
        return self.first + len(self.keys)


def maybe_numbered(lines: Sequence[str]) -> bool:
    """A quick look at one line of each possible row: whether it begins with a digit, blanks not counted."""
    return not _DIGITS.isdisjoint([line[:1] for line in map(str.lstrip, lines[FEWEST - 1 :: FEWEST])])


def numbered_rows(lines: Sequence[str]) -> Iterator[Numbered]:
    """The numbered rows among lines, in order. Every line of a row is its prefix and what follows, exactly."""
    first, number = 0, -1
    row: list[re.Match[str]] = []
    for index, line in enumerate(lines):
        found = _PREFIX.match(line)
        if found is None:
            if row:
                yield from _row(first, row)
                row = []
            continue
        number += 1
        if not row or int(found[2]) != number or found[3] != row[0][3]:
            yield from _row(first, row)
            first, number, row = index, int(found[2]), []
        row.append(found)
    yield from _row(first, row)


def _row(first: int, row: list[re.Match[str]]) -> Iterator[Numbered]:
    if len(row) < FEWEST:
        return
    separator = row[0][3]
    if separator in _SPACED and all(found.string.startswith(" ", found.end()) for found in row):
        separator += " "
    digits = row[0][2]
    width = len(row[0][1]) + len(digits)
    zero_filled = len(digits) > 1 and digits.startswith("0")
    numbering = Numbering(separator, width, zero_filled, int(digits))
    keys = []
    for offset, found in enumerate(row):
        prefix = numbering.prefix(offset)
        if not found.string.startswith(prefix):
            break
        keys.append(found.string[len(prefix) :])
    if len(keys) >= FEWEST:
        yield Numbered(first, numbering, keys)
