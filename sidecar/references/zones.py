"""The lines of a text in which references may stand: what no person typed, in whole lines, form by form."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from sidecar.references.authorship import Span, client_spans, environments, result_spans
from sidecar.references.reading import Form, Reading
from sidecar.references.slots import Kind, Slot


class Zone(NamedTuple):
    """Lines `first` to `end` (not included), all written in one form."""

    first: int
    end: int
    form: Form
    """As of the first line."""
    environment: bool
    """Whether they stand in `environment_details`."""


def zones_of(slot: Slot, reading: Reading) -> list[Zone]:
    """All zones of a text, in order."""
    if slot.kind is Kind.RESULT:
        spans = result_spans(slot.text)
    elif slot.kind is Kind.WORDS:
        spans = client_spans(slot.text, behind_header=slot.behind_header)
    else:
        spans = []
    return [
        Zone(first, end, form, environment)
        for span, environment in _parts(slot.text, spans)
        for first, end, form in _forms(reading, *_whole_lines(reading, span))
    ]


def _parts(text: str, spans: list[Span]) -> Iterator[tuple[Span, bool]]:
    """The spans, cut at the edges of `environment_details`."""
    inside = environments(text)
    for span in spans:
        at = span.start
        for environment in inside:
            if environment.start < span.start or environment.end > span.end:
                continue
            yield Span(at, environment.start), False
            yield environment, True
            at = environment.end
        yield Span(at, span.end), False


def _whole_lines(reading: Reading, span: Span) -> tuple[int, int]:
    if span == (0, len(reading.text)):
        return 0, len(reading)
    first = bisect_left(reading.starts, span.start)
    end = bisect_right(reading.starts, span.end) - 1
    if end < len(reading) and reading.end_of(end) <= span.end:
        end += 1
    return first, end


def _forms(reading: Reading, first: int, end: int) -> Iterator[tuple[int, int, Form]]:
    """The stretches between two lines."""
    number = bisect_right(reading.stretches, first, key=lambda one: one.first) - 1
    while first < end:
        stretch = reading.stretches[number]
        stop = min(end, stretch.end)
        yield first, stop, stretch.form.at(first - stretch.first)
        first, number = stop, number + 1
