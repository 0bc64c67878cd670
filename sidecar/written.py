"""A request as JSON for Claude, of which only what is new in its conversation is written.

Nearly all of a conversation's next request is made of the very objects that the last one was made of. What was written
of them is taken again by reference, and goes to the network as it lies there. The bytes are those that orjson writes of
the whole, whatever is known.

Pure; whoever keeps a `Written` answers for nobody writing to the objects that it was made of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import compress, count
from operator import is_not
from typing import Any, Final, NamedTuple

import orjson

from sidecar.exchange import Json

LISTS: Final = frozenset({"tools", "system", "messages"})
"""Fields that are long from the beginning, or grow."""
RUN_BYTES: Final = 16 * 1024
"""Up to which short runs of neighbours in such a list are joined."""
ITEMS: Final = 8
"""How many of them one call of orjson writes."""


class Run(NamedTuple):
    told: bytes
    """With a comma in front where others stand before."""
    end: int
    """Behind its last item."""


class Row(NamedTuple):
    """A list, and how it was written."""

    items: list[Any]
    runs: list[Run]


class Written(NamedTuple):
    pieces: tuple[bytes, ...]
    """Together they are the request."""
    rows: Mapping[str, Row]
    """Its long fields."""


def written(request: Json, before: Written | None = None) -> Written:
    """`before` is an earlier request, of which objects may be here again. Raises orjson.JSONEncodeError."""
    pieces, rows, short = [b"{"], dict[str, Row](), dict[str, Any]()

    def tell_short() -> None:
        if short:
            pieces.append(orjson.dumps(short)[1:-1] if len(pieces) == 1 else b",%b" % orjson.dumps(short)[1:-1])
            short.clear()

    for name, value in request.items():
        if name not in LISTS or type(value) is not list:
            short[name] = value
            continue
        tell_short()
        rows[name] = row = _row(value, before.rows.get(name) if before is not None else None)
        pieces += (b'"%b":[' if len(pieces) == 1 else b',"%b":[') % name.encode(), *[run.told for run in row.runs], b"]"
    tell_short()
    return Written((*pieces, b"}"), rows)


def _row(items: list[Any], before: Row | None) -> Row:
    runs = _known_runs(items, before) if before is not None else []
    for begin in range(runs[-1].end if runs else 0, len(items), ITEMS):
        some = items[begin : begin + ITEMS]
        told = orjson.dumps(some)[1:-1]
        runs.append(Run(b",%b" % told if begin else told, begin + len(some)))
    return Row(items, runs)


def _known_runs(items: list[Any], before: Row) -> list[Run]:
    """The leading runs of which every item is here again, the last short ones as one."""
    both = min(len(items), len(before.items))
    others = compress(count(), map(is_not, items, before.items))
    same = next((at for at in others if not _is_same(items[at], before.items[at])), both)
    known = before.runs[: bisect_right(before.runs, same, key=_end)]
    end, told = 0, b""
    while known and len(known[-1].told) + len(told) < RUN_BYTES:
        run = known.pop()
        end, told = end or run.end, run.told + told
    return [*known, Run(told, end)] if end else known


def _is_same(one: object, other: object) -> bool:
    """Whether two values are made of the same parts, told without looking at a text: what layers and markers touch is
    put together anew in each turn."""
    if type(one) is dict:
        if type(other) is not dict or [*one] != [*other]:
            return False
        pairs = zip(one.values(), other.values(), strict=True)
    elif type(one) is list:
        if type(other) is not list or len(one) != len(other):
            return False
        pairs = zip(one, other, strict=True)
    else:
        return False
    for part, another in pairs:  # noqa: SIM110 - without a generator
        if part is not another and not _is_same(part, another):
            return False
    return True


def _end(run: Run) -> int:
    return run.end
