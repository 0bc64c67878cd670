"""The newest requests in a line each: where each went and why, and what that saved. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tui.drawing import Line, Piece
from tui.request_row import RequestRow
from tui.text import fit
from tui.widgets.request_columns import LATEST, fitting


def latest(rows: Sequence[RequestRow], width: int, height: int) -> list[Line]:
    """The newest first, under a heading; `rows` has them oldest first."""
    columns = fitting(width, LATEST)
    lines: list[Line] = [[(f"{fit(column.name, size, right=column.right)} ", "dim") for column, size in columns]]
    for row in islice(reversed(rows), max(0, height - 1)):
        line: list[Piece] = []
        for column, size in columns:
            said, colour = column.cell(row)
            line.append((f"{fit(said, size, right=column.right)} ", colour))
        lines.append(line)
    return lines
