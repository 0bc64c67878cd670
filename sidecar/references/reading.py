"""A text as lines that can be compared: without line numbers, carriage returns and JSON's escapes.

Tool results are often JSON with a file inside one string: there `\\n` ends a line as well. What was taken off a line is
kept as the `Form` of the stretch it stands in, so that `Form.write` gives back every character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final, NamedTuple

from sidecar.references.numbering import Numbered, Numbering, maybe_numbered, numbered_rows

GRAM: Final = 3
"""Lines in a row that lead to a place."""
TELLING: Final = 4
"""Characters, blanks around them not counted, from which a line says something."""
_ALL_DULL: Final = bytes([True] * GRAM)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_FEWEST_ESCAPED: Final = 3
"""Escaped line ends that make a physical line JSON with lines inside."""


@dataclass(frozen=True, slots=True)
class Form:
    """How lines are written: what must be added to a line's key to have its characters again."""

    crlf: bool = False
    """Every line ends in a carriage return."""
    escaped: bool = False
    """The lines stand inside a JSON string."""
    numbering: Numbering | None = None

    def at(self, offset: int) -> Form:
        """The form of the rest of a stretch."""
        if self.numbering is None or not offset:
            return self
        return Form(self.crlf, self.escaped, self.numbering.at(offset))

    def write(self, keys: Sequence[str]) -> str:
        """The lines as they were written, without the last one's line end."""
        lines: Sequence[str] = keys
        if self.numbering is not None:
            lines = [self.numbering.prefix(offset) + key for offset, key in enumerate(keys)]
        if self.crlf:
            lines = [f"{line}\r" for line in lines]
        if self.escaped:
            return "\\n".join(escape(line) for line in lines)
        return "\n".join(lines)


PLAIN: Final = Form()
ESCAPED: Final = Form(escaped=True)


class Stretch(NamedTuple):
    """Lines `first` to `end` (not included) have one form."""

    first: int
    end: int
    form: Form


def holds_lines(text: str) -> bool:
    """Whether a text may have so many lines that some of them lead to a place. Told without reading it."""
    return text.count("\n") >= GRAM - 1 or text.count("\\n") >= _FEWEST_ESCAPED


class Reading:
    """The lines of a text. `keys` are what is compared; every line belongs to exactly one of `stretches`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines: list[str] = []
        self._ends: list[int] | None = None
        """Characters of each line's end, where they are not all one."""
        self.keys: list[str] = []
        self.stretches: list[Stretch] = []
        if text.count("\\n") >= _FEWEST_ESCAPED:
            self._read_escaped(text.split("\n"))
        else:
            self._lines = text.split("\n")
            self._read(self._lines, escaped=False)

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def grams(self) -> list[int]:
        """For each line the hash of it and the next two; 0 where none of the three says anything."""
        keys = self.keys
        grams = [*map(hash, zip(keys, keys[1:], keys[2:], strict=False))]
        dull = bytes([length < TELLING for length in map(len, map(str.strip, keys))])
        at = dull.find(_ALL_DULL)
        while at >= 0:
            grams[at] = 0
            at = dull.find(_ALL_DULL, at + 1)
        return grams

    @cached_property
    def starts(self) -> list[int]:
        """The offset in the text at which each line begins, and one behind the last line's end."""
        ends = self._ends or [1] * len(self._lines)
        return list(accumulate((len(line) + end for line, end in zip(self._lines, ends, strict=True)), initial=0))

    def end_of(self, line: int) -> int:
        """The offset behind the last character of a line, its end not counted."""
        return self.starts[line] + len(self._lines[line])

    def _read_escaped(self, physical: list[str]) -> None:
        self._ends = []
        plain: list[str] = []
        for line in physical:
            inner = _inner_lines(line)
            if len(inner) <= _FEWEST_ESCAPED:
                plain.append(line)
                continue
            self._take(plain)
            plain = []
            self._lines += inner
            self._ends += [2] * (len(inner) - 1) + [1]
            self._read_inside(inner)
        self._take(plain)

    def _take(self, plain: list[str]) -> None:
        assert self._ends is not None
        self._lines += plain
        self._ends += [1] * len(plain)
        self._read(plain, escaped=False)

    def _read_inside(self, inner: list[str]) -> None:
        """Where a line's escapes are not those of `escape`, it is compared as it stands."""
        run: list[str] = []
        for line in inner:
            content = unescape(line)
            if content is not None:
                run.append(content)
                continue
            self._read(run, escaped=True)
            run = []
            self._read([line], escaped=False)
        self._read(run, escaped=True)

    def _read(self, lines: list[str], *, escaped: bool) -> None:
        if not lines:
            return
        base = len(self.keys)
        returns = [line.endswith("\r") for line in lines] if "\r" in self.text else None
        keys = (
            lines if returns is None else [line[:-1] if cr else line for line, cr in zip(lines, returns, strict=True)]
        )
        numbered = [*numbered_rows(keys)] if maybe_numbered(keys) else []
        if numbered:
            keys = [*keys]
            for row in numbered:
                keys[row.first : row.end] = row.keys
        self.keys += keys
        if returns is None and not numbered:
            self.stretches.append(Stretch(base, len(self.keys), ESCAPED if escaped else PLAIN))
            return
        for first, end, numbering in _rows(numbered, len(lines)):
            for start, stop, crlf in _alike(returns, first, end):
                form = Form(crlf, escaped, None if numbering is None else numbering.at(start - first))
                self.stretches.append(Stretch(base + start, base + stop, form))


def escape(line: str) -> str:
    """A line as it stands inside a JSON string, as JavaScript and most others write it."""
    return json.dumps(line, ensure_ascii=False)[1:-1]


def unescape(line: str) -> str | None:
    """The other way of `escape`; None where it would not give the same characters again."""
    if "\\" not in line:
        return line if '"' not in line and line.isprintable() else _strict(line)
    return _strict(line)


def _strict(line: str) -> str | None:
    try:
        content = json.loads(f'"{line}"')
    except ValueError:
        return None
    return content if isinstance(content, str) and escape(content) == line else None


def _inner_lines(line: str) -> list[str]:
    """A physical line at its escaped line ends; a backslash that is itself escaped begins none."""
    inner, start = [], 0
    for found in _ESCAPE.finditer(line) if "\\n" in line else ():
        if found[1] == "n":
            inner.append(line[start : found.start()])
            start = found.end()
    return [*inner, line[start:]]


def _rows(numbered: list[Numbered], count: int) -> Iterator[tuple[int, int, Numbering | None]]:
    """The numbered rows and what stands between them."""
    at = 0
    for row in numbered:
        if at < row.first:
            yield at, row.first, None
        yield row.first, row.end, row.numbering
        at = row.end
    if at < count:
        yield at, count, None


def _alike(returns: list[bool] | None, first: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Lines in a row that all end in a carriage return, or all do not."""
    if returns is None:
        yield first, end, False
        return
    start = first
    for index in range(first + 1, end + 1):
        if index == end or returns[index] != returns[start]:
            yield start, index, returns[start]
            start = index
