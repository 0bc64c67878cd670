"""What the dashboard reads of a sidecar's answers, and answers made whole: a sidecar of another version lacks a field,
or tells it in another way, and what there is must be shown all the same. Pure.

A shape is an example that is also the default: an object with its fields, a list with what each element is, a text, a
number, true or false; None takes anything. Fields that no shape names are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from types import NoneType
from typing import Any, Final

Shape = Any


@dataclass(frozen=True, slots=True)
class Maybe:
    """As `shape`; null, or not there, is as good."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Each:
    """An object with any names, and what is under each."""

    shape: Shape


class Often(dict[str, Shape]):
    """An object that comes by the hundred: kinds of values that were looked at once need not be looked at again."""

    def __init__(self, fields: dict[str, Shape]) -> None:
        super().__init__(fields)
        self._values = itemgetter(*fields)
        self._within: dict[tuple[type, ...], tuple[str, ...] | None] = {}

    def within(self, told: dict[str, Any]) -> tuple[str, ...] | None:
        """Which fields are still to be looked into; None where some are missing or of another kind."""
        try:
            kinds = tuple(map(type, self._values(told)))
        except KeyError:
            return None
        if kinds not in self._within and len(self._within) < MOST_KINDS:
            self._within[kinds] = self._looked_at(kinds)
        return self._within.get(kinds)

    def _looked_at(self, kinds: tuple[type, ...]) -> tuple[str, ...] | None:
        within = []
        for (name, shape), kind in zip(self.items(), kinds, strict=True):
            inner = shape.shape if isinstance(shape, Maybe) and kind is not NoneType else shape
            if isinstance(inner, Maybe):
                continue
            if isinstance(inner, dict | list | Each):
                within.append(name)
            elif type(inner) is not kind:
                return None
        return tuple(within)


ROW: Final = Often({
    "id": "",
    "time": 0.0,
    "state": "unseen",
    "kind": "",
    "dialect": "",
    "stream": False,
    "project": "",
    "client": "",
    "conversation": "",
    "model_asked": "",
    "model": "",
    "route_reason": "",
    "input_tokens": 0,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "output_tokens": 0,
    "thinking_tokens": 0,
    "removed_tokens": 0,
    "cache": "MISS",
    "prompt_cache": "none",
    "cost_picos": 0,
    "baseline_picos": 0,
    "saved_picos": 0,
    "saved_by": Each(0),
    "estimated": False,
    "first_byte_ms": Maybe(0.0),
    "duration_ms": Maybe(0.0),
    "overhead_ms": Maybe(0.0),
    "status": 0,
    "error": Maybe(""),
    "stop_reason": Maybe(""),
    "retries": 0,
    "miss": Maybe({"ours": False, "cause": "", "tokens": 0, "cost_picos": 0}),
    "has_body": False,
    "via": "",
})  # fmt: skip

STATE: Final = {
    "uptime_seconds": 0.0,
    "in_flight": 0,
    "running": Maybe([""]),
    "bypass": False,
    "recording": False,
    "keeps_bodies": 0,
    "ledger": {"state": "unknown"},
    "warnings": [""],
    "upstream": {"state": "unknown", "last_error": Maybe(""), "breakers": [{"name": "", "state": "closed"}]},
    "interceptor": {"state": "off"},
    "dropped": 0,
}

_TICK: Final = {"id": "", "output_tokens": 0, "first_byte_ms": Maybe(0.0), "elapsed_ms": 0.0}
_REFUSED: Final = {"time": 0.0, "method": "", "path": "", "status": 0, "message": ""}

EVENTS: Final = {
    "hello": {"instance": "", "version": "", "time": 0.0, "rows": [ROW], "state": STATE},
    "batch": {
        "time": 0.0,
        "begun": Maybe([ROW]),
        "ticks": Maybe([_TICK]),
        "ended": Maybe([ROW]),
        "refused": Maybe([_REFUSED]),
    },
    "state": STATE,
}
"""Of the live feed."""

_SUMS: Final = {
    "requests": 0,
    "errors": 0,
    "left": 0,
    "estimated": 0,
    "input_tokens": 0,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "output_tokens": 0,
    "removed_tokens": 0,
    "cost_picos": 0,
    "baseline_picos": 0,
    "saved_picos": 0,
    "cache_hits": 0,
    "retries": 0,
}
_POINT: Final = {
    "time": 0.0,
    "sent_tokens": 0,
    "read_tokens": 0,
    "removed_tokens": 0,
    "cost_picos": 0,
    "baseline_picos": 0,
}
_MODEL: Final = {"asked": "", "model": "", "reason": "", "requests": 0, "estimated": 0, "cost_picos": 0}
_BUDGET: Final = {"project": "", "period": "", "budget_picos": 0, "spent_picos": 0, "estimated": False}

OVERVIEW: Final = {
    "today": _SUMS,
    "week": _SUMS,
    "month": _SUMS,
    "range": _SUMS,
    "series": [_POINT],
    "layers": [{"layer": "", "saved_picos": 0, "requests": 0, "estimated": 0}],
    "models": [_MODEL],
    "budgets": [_BUDGET],
}

REQUESTS: Final = {"rows": [ROW], "more": False}

_CONVERSATION: Final = {
    "conversation": "",
    "project": "",
    "client": "",
    "model": "",
    "turns": 0,
    "last": 0.0,
    "prompt_tokens": 0,
    "growth": [0],
    "cost_picos": 0,
    "saved_picos": 0,
    "estimated": 0,
    "reads": 0,
    "misses": 0,
    "ours": 0,
}
CONVERSATIONS: Final = {"conversations": [_CONVERSATION]}
CONVERSATION: Final = {"conversation": _CONVERSATION, "turns": [ROW]}

_FILE: Final = {
    "project": "",
    "digest": "",
    "path": Maybe(""),
    "tokens": 0,
    "times": 0,
    "resent_tokens": 0,
    "saved_tokens": 0,
    "last_seen": 0.0,
}
FILES: Final = {"files": [_FILE]}

PROJECT: Final = {
    "name": "",
    "key_last4": Maybe(""),
    "rpm": Maybe(0),
    "tpm": Maybe(0),
    "daily_budget_picos": Maybe(0),
    "monthly_budget_picos": Maybe(0),
    "spent_today_picos": 0,
    "spent_month_picos": 0,
    "requests_today": 0,
    "saved_month_picos": 0,
    "estimated_today": 0,
    "estimated_month": 0,
    "switches": Each(False),
    "overridden": [""],
}
PROJECTS: Final = {"projects": [PROJECT]}

DOCTOR: Final = {
    "findings": [{"check": "", "severity": "note", "said": "", "fix": Maybe("")}],
    "checked": 0.0,
}

_EDIT: Final = {
    "layer": "",
    "where": "",
    "before": "",
    "after": "",
    "removed_tokens": 0,
    "saved_picos": Maybe(0),
    "new": False,
}
_COST: Final = {
    "model": "",
    "lines": [{"what": "", "tokens": 0, "picos_per_token": 0, "picos": 0}],
    "total_picos": 0,
    "baseline_picos": 0,
    "saved_by": Each(0),
    "estimated": False,
}
EXCHANGE: Final = {
    "row": ROW,
    "client": {"method": "", "path": "", "headers": Each(""), "body": ""},
    "upstream": {"url": "", "headers": Each(""), "body": "", "same_as_client": False},
    "edits": [_EDIT],
    "decisions": [{"layer": "", "said": "", "numbers": Each(None)}],
    "notes": [{"field": "", "action": "", "detail": ""}],
    "answer": Maybe(Each(None)),
    "answer_headers": Each(""),
    "timing": [{"name": "", "start_ms": 0.0, "end_ms": 0.0}],
    "cost": Maybe(_COST),
}

CLEARED: Final = {"cleared": 0}
REPLAYED: Final = {"id": ""}

MOST_KINDS: Final = 1_000
"""That are remembered of one shape."""
_NUMBERS: Final = (int, float)
_MOST: Final = 1 << 63


def whole(shape: Shape, told: Any, strange: set[str], where: str = "") -> Any:
    """What was told (which is taken over), with everything that the shape has. What was not there, or is of another
    kind, is the shape's own; its path is added to `strange`: `rows.via`."""
    if isinstance(shape, Maybe):
        return None if told is None else whole(shape.shape, told, strange, where)
    if isinstance(shape, dict) and isinstance(told, dict):
        return _fields(shape, told, strange, where)
    if isinstance(shape, list) and isinstance(told, list):
        return [whole(shape[0], value, strange, where) for value in told]
    if isinstance(shape, Each) and isinstance(told, dict):
        return {name: whole(shape.shape, value, strange, where) for name, value in told.items()}
    if type(shape) in _NUMBERS and type(told) in _NUMBERS and -_MOST < told < _MOST:
        return type(shape)(told)
    return told if shape is None or type(told) is type(shape) else _stranger(shape, strange, where)


def _fields(shape: dict[str, Shape], told: dict[str, Any], strange: set[str], where: str) -> dict[str, Any]:
    within = shape.within(told) if isinstance(shape, Often) else None
    for name in shape if within is None else within:
        at, inner = f"{where}.{name}" if where else name, shape[name]
        there = name in told or isinstance(inner, Maybe)
        told[name] = whole(inner, told.get(name), strange, at) if there else _stranger(inner, strange, at)
    return told


def empty(shape: Shape) -> Any:
    """A value of the shape with nothing in it."""
    match shape:
        case dict():
            return {name: empty(inner) for name, inner in shape.items()}
        case list():
            return []
        case Each():
            return {}
        case Maybe():
            return None
        case _:
            return shape


def _stranger(shape: Shape, strange: set[str], where: str) -> Any:
    strange.add(where)
    return empty(shape)
