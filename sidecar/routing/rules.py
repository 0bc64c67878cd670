"""The table of rules: what in a request speaks for which lane, and by how many points.

A rule holds where all its conditions hold. The points of a lane's rules are added up; from the lane's threshold on the
request belongs there. Texts are compared in lower case, so patterns are written in it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from operator import attrgetter
from typing import Any, Final, Literal, get_args

from sidecar.routing.literals import check, search
from sidecar.routing.subject import Subject

Lane = Literal["errand", "ordinary", "complex"]
LANES: Final[tuple[Lane, ...]] = get_args(Lane)
Score = Literal["errand", "complex", "trouble"]
"""What points are counted for. Trouble lifts a conversation that has begun to the complex lane."""
SCORES: Final[tuple[Score, ...]] = get_args(Score)
Wish = Literal["auto", "fast", "best"]
WISHES: Final[tuple[Wish, ...]] = get_args(Wish)

EVIDENCE_CHARS: Final = 48
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


class RulesError(ValueError):
    """A table that cannot be used; one sentence."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule that holds for a request."""

    rule: str
    score: Score
    points: int
    evidence: str = ""
    """What it was found by."""

    def __str__(self) -> str:
        return f"{self.rule} {self.points:+d}" + (f" ({self.evidence})" if self.evidence else "")


Condition = Callable[[Subject], str | None]
"""The evidence where it holds, else None."""


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    score: Score
    points: int
    conditions: tuple[Condition, ...] = field(repr=False)

    def holds(self, subject: Subject) -> Signal | None:
        evidence = ""
        for condition in self.conditions:
            if (found := condition(subject)) is None:
                return None
            evidence = evidence or found
        return Signal(self.name, self.score, self.points, evidence)


@dataclass(frozen=True, slots=True)
class Table:
    rules: tuple[Rule, ...]
    thresholds: Mapping[Score, int]
    lanes: Mapping[Wish, Mapping[Lane, tuple[str, ...]]]
    """The models of each lane, by what was asked for: the first that may be used answers."""
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    """Models that routing may choose, or may not, whatever a project may use: ids, patterns, lines."""

    def signals(self, subject: Subject, *, task: bool = True) -> list[Signal]:
        """Every rule that holds, in the table's order. Without `task` what speaks of a complex task is not looked at:
        a conversation that has begun keeps its model."""
        rules = self.rules if task else (rule for rule in self.rules if rule.score != "complex")
        return [signal for rule in rules if rule.points and (signal := rule.holds(subject)) is not None]

    def reaches(self, score: Score, signals: Iterable[Signal]) -> bool:
        return points_of(score, signals) >= self.thresholds[score]


def points_of(score: Score, signals: Iterable[Signal]) -> int:
    return sum(signal.points for signal in signals if signal.score == score)


@cache
def shipped() -> Mapping[str, Any]:
    """`rules.toml`, as it is written."""
    return tomllib.loads(files("sidecar.routing").joinpath("rules.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=8)
def _built_in() -> Table:
    return read_table({})


def table_of(own: Mapping[str, Any]) -> Table:
    """The shipped table with the user's `[routing]` on top. Raises RulesError."""
    return read_table(own) if own else _built_in()


def read_table(own: Mapping[str, Any]) -> Table:
    base = shipped()
    if unknown := sorted(own.keys() - {*base, "allow", "deny"}):
        raise RulesError(f"[routing] has no `{unknown[0]}`: there are {', '.join((*base, 'allow', 'deny'))}")
    thresholds = dict(base["thresholds"])
    for name, points in _table(own.get("thresholds", {}), "[routing.thresholds]").items():
        if name not in SCORES or type(points) is not int or points < 1:
            raise RulesError(f"[routing.thresholds] `{name}`: {', '.join(SCORES)} are whole numbers from 1 on")
        thresholds[name] = points
    return Table(
        rules=tuple(_rules(base["rules"], own.get("rules", []))),
        thresholds=thresholds,
        lanes={wish: _lanes(wish, base["lanes"][wish], own.get("lanes", {})) for wish in WISHES},
        allow=_names(own.get("allow", []), "[routing] allow"),
        deny=_names(own.get("deny", []), "[routing] deny"),
    )


def _rules(base: Iterable[Mapping[str, Any]], own: object) -> Iterable[Rule]:
    """The shipped rules in their order, with the user's fields over those of the same name; the user's own behind."""
    rows = {str(row["name"]): dict(row) for row in base}
    if not isinstance(own, list):
        raise RulesError("[[routing.rules]] are tables, one a rule")
    seen = set[str]()
    for number, row in enumerate(own, 1):
        row = _table(row, f"[[routing.rules]] {number}")
        name = row.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise RulesError(f"[[routing.rules]] {number} has no `name` of small letters, digits, `_`, `-` and `.`")
        if name in seen:
            raise RulesError(f"[[routing.rules]] `{name}` is there twice")
        seen.add(name)
        rows[name] = {**rows.get(name, {}), **row}
        _check_patterns(row, f"[[routing.rules]] `{name}`")
    return [_rule(row) for row in rows.values()]


def _rule(row: Mapping[str, Any]) -> Rule:
    name, told = row["name"], f"[[routing.rules]] `{row['name']}`"
    score, points = row.get("score"), row.get("points")
    if score not in SCORES:
        raise RulesError(f"{told}: `score` is one of {', '.join(SCORES)}")
    if type(points) is not int:
        raise RulesError(f"{told}: `points` is a whole number; 0 turns the rule off")
    conditions = []
    for field_name, value in row.items():
        if field_name in ("name", "score", "points", "note"):
            continue
        if field_name not in CONDITIONS:
            raise RulesError(f"{told} has `{field_name}`: conditions are {', '.join(CONDITIONS)}")
        allowed, reading = CONDITIONS[field_name]
        try:
            conditions.append(reading(value))
        except (TypeError, ValueError):
            raise RulesError(f"{told}: `{field_name}` is {value!r}, and must be {allowed}") from None
    if not conditions:
        raise RulesError(f"{told} has no condition: it would hold for everything")
    return Rule(name, score, points, tuple(conditions))


def _check_patterns(row: Mapping[str, Any], told: str) -> None:
    """The shipped ones are not checked at each start, but by a test."""
    for field_name in PATTERNS:
        try:
            if isinstance(value := row.get(field_name), str):
                check(value)
        except re.error:
            raise RulesError(f"{told}: `{field_name}` is {value!r}, and must be {A_PATTERN}") from None


def _lanes(wish: Wish, base: Mapping[str, Any], own: object) -> Mapping[Lane, tuple[str, ...]]:
    tables = _table(own, "[routing.lanes]")
    if unknown := sorted(tables.keys() - set(WISHES)):
        raise RulesError(f"[routing.lanes.{unknown[0]}]: there are {', '.join(WISHES)}")
    row = _table(tables.get(wish, {}), f"[routing.lanes.{wish}]")
    if unknown := sorted(row.keys() - set(LANES)):
        raise RulesError(f"[routing.lanes.{wish}] has no `{unknown[0]}`: there are {', '.join(LANES)}")
    return {lane: _names({**base, **row}[lane], f"[routing.lanes.{wish}] {lane}", least=1) for lane in LANES}


def _names(value: object, where: str, *, least: int = 0) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or len(names) < least or not all(isinstance(name, str) and name for name in names):
        raise RulesError(f'{where}: a model or a list of models such as ["sonnet", "opus"]')
    return tuple(names)


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RulesError(f"{where} is a table")
    return value


def _pattern(of: str) -> Callable[[object], Condition]:
    def read(value: object) -> Condition:
        if not isinstance(value, str) or not value:
            raise TypeError
        found = search(value)

        def condition(subject: Subject) -> str | None:
            match = found(getattr(subject, of))
            return None if match is None else _short(match[0])

        return condition

    return read


def _number(of: str, *, most: bool = False) -> Callable[[object], Condition]:
    """At least so many, or at most; what is not told is neither."""

    found_in = attrgetter(of)

    def read(value: object) -> Condition:
        if type(value) is not int or value < 0:
            raise TypeError

        def condition(subject: Subject) -> str | None:
            found: int | None = found_in(subject)
            holds = found is not None and (found <= value if most else found >= value)
            return f"{found:,}" if holds and found is not None else None

        return condition

    return read


def _flag(of: str) -> Callable[[object], Condition]:
    def read(value: object) -> Condition:
        if type(value) is not bool:
            raise TypeError

        def condition(subject: Subject) -> str | None:
            return "" if bool(getattr(subject, of)) is value else None

        return condition

    return read


def _clients(value: object) -> Condition:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError
    names = frozenset(value)

    def condition(subject: Subject) -> str | None:
        return "" if subject.client in names else None

    return condition


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EVIDENCE_CHARS else f"{line[: EVIDENCE_CHARS - 3]}..."


PATTERNS: Final = ("system", "purpose", "asks", "words", "task")
A_PATTERN: Final = "a regular expression in lower case"

CONDITIONS: Final[Mapping[str, tuple[str, Callable[[object], Condition]]]] = {
    "clients": ('a list of clients such as ["aider"]', _clients),
    "tools": ("true or false", _flag("tools")),
    "first": ("true or false", _flag("first")),
    "results": ("true or false", _flag("results")),
    "images": ("true or false", _flag("images")),
    "schema": ("true or false", _flag("schema")),
    "prefill": ("true or false", _flag("prefill")),
    "max_tokens": ("a whole number, at most", _number("max_tokens", most=True)),
    "chars": ("a whole number, at most", _number("chars", most=True)),
    "chars_from": ("a whole number, at least", _number("chars")),
    "diff_lines": ("a whole number, at least", _number("diff_lines")),
    "steps": ("a whole number, at least", _number("steps")),
    "same_test": ("a whole number, at least", _number("trouble.same_test")),
    "failed_edits": ("a whole number, at least", _number("trouble.failed_edits")),
    "apologies": ("a whole number, at least", _number("trouble.apologies")),
    "complaints": ("a whole number, at least", _number("trouble.complaints")),
    **{field_name: (A_PATTERN, _pattern(field_name)) for field_name in PATTERNS},
}
"""What a rule can ask for: what is allowed, and how it is read."""
