"""Where a catalogue's rows stand in a text. Plain searches for texts, so that time grows with the length alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from sidecar.boilerplate.catalogue import Row

DEEPEST_INDENT: Final = 32
"""Characters of indentation before a beginning: Cline indents by tabs."""


class Segment(NamedTuple):
    start: int
    end: int
    begin: str
    """The beginning by which it was found."""
    row: Row


def segments_in(text: str, rows: Iterable[Row], role: str, *, in_result: bool) -> list[Segment]:
    """What of these rows stands in a text of that role, by where it begins, the longer one first. What lies in
    something of class C is not among it."""
    found = [
        segment
        for row in rows
        if role in row.roles and (row.results or not in_result)
        for segment in _of_row(text, row)
    ]
    never = [segment for segment in found if segment.row.kind == "C"]
    return sorted(
        (
            segment
            for segment in found
            if segment.row.kind != "C" and not any(segment.start < c.end and c.start < segment.end for c in never)
        ),
        key=lambda segment: (segment.start, -segment.end),
    )


def beginnings(text: str, begin: str) -> Iterator[int]:
    """Every place where `begin` stands at the beginning of a line, indented or not."""
    at = text.find(begin)
    while at >= 0:
        _, line, indent = text[max(0, at - DEEPEST_INDENT) : at].rpartition("\n")
        if (line or at <= DEEPEST_INDENT) and not indent.strip():
            yield at
        at = text.find(begin, at + len(begin))


def _of_row(text: str, row: Row) -> Iterator[Segment]:
    for index, begin in enumerate(row.begin):
        behind = 0
        for start in beginnings(text, begin):
            if start < behind:
                continue
            end = _end(text, start + len(begin), row, index)
            if end is None or (row.whole and (text[:start].strip() or text[end:].strip())):
                break
            yield Segment(start, end, begin, row)
            behind = end


def _end(text: str, start: int, row: Row, index: int) -> int | None:
    if row.before:
        at = text.find(row.before, start)
        return at if at >= 0 else None
    if end := row.end_for(index):
        at = text.find(end, start)
        return at + len(end) if at >= 0 else None
    return len(text.rstrip())
