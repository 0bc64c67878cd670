"""The catalogue: what editors put around their users' words, and which of it may be left out. `catalogue.toml` is the
table; a user's own rows come from `[[boilerplate]]` in cgw.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, Self

from sidecar.user_errors import UserError

Class = Literal["A", "B", "C"]

CLASSES: Final = ("A", "B", "C")
ZONES: Final = ("messages", "system")
ROLES: Final = ("user", "system")
SHORTEST_BEGINNING: Final = 8
"""Characters: what begins with less could be anything."""


class RowError(UserError, ValueError):
    """A row that cannot be used; the message says which one and why."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of boilerplate. The fields are explained in `catalogue.toml`."""

    id: str
    kind: Class
    begin: tuple[str, ...]
    end: tuple[str, ...] = ()
    """One for all beginnings, or one for each."""
    before: str = ""
    clients: frozenset[str] = frozenset()
    """Empty: anybody."""
    zone: str = "messages"
    roles: frozenset[str] = frozenset({"user"})
    results: bool = False
    whole: bool = False
    numbers: bool = False
    drop: tuple[str, ...] = ()
    enabled: bool = True
    note: str = ""

    @classmethod
    def read(cls, table: Mapping[str, Any], name: str) -> Self:
        """`name` is what an error calls the row. Raises RowError."""
        if unknown := sorted(table.keys() - FIELDS.keys()):
            raise RowError(f"{name} has a field `{unknown[0]}`, which none has: there are {', '.join(FIELDS)}")
        for field in ("id", "class", "begin"):
            if not table.get(field):
                raise RowError(f"{name} has no `{field}`")
        values = {}
        for field, value in table.items():
            attribute, allowed, reading = FIELDS[field]
            try:
                values[attribute] = reading(value)
            except (TypeError, ValueError):
                raise RowError(f"{name}: `{field}` is {value!r}, and must be {allowed}") from None
        row = cls(**values)
        row._check(name)
        return row

    def _check(self, name: str) -> None:
        if any(len(begin) < SHORTEST_BEGINNING for begin in self.begin) and self.kind != "C":
            raise RowError(f"{name}: `begin` must have at least {SHORTEST_BEGINNING} characters")
        if self.end and self.before:
            raise RowError(f"{name} has both `end` and `before`: which of the two is its end?")
        if len(self.end) > 1 and len(self.end) != len(self.begin):
            raise RowError(f"{name}: `end` must be one text, or one for each text of `begin`")
        if self.kind != "C" and self.zone == "system":
            raise RowError(f"{name}: nothing in the system prompt is touched, so that the class can only be C there")
        if self.kind != "A" and self.numbers:
            raise RowError(f"{name}: `numbers` is for class A")
        if self.kind != "B" and self.drop:
            raise RowError(f"{name}: `drop` is for class B")
        if self.kind == "B" and not (self.end or self.before):
            raise RowError(f"{name} has no end: in class B one of `end` and `before` says how far it goes")
        if self.kind == "C" and not self.enabled:
            raise RowError(f"{name}: class C is always on")

    def end_for(self, index: int) -> str:
        """How it ends where it began with `begin[index]`."""
        return self.end[index if len(self.end) > 1 else 0] if self.end else ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    rows: tuple[Row, ...]

    def for_client(self, client: str) -> tuple[Row, ...]:
        """Those that are looked for in this client's messages."""
        return tuple(
            row
            for row in self.rows
            if row.enabled and row.zone == "messages" and (not row.clients or client in row.clients)
        )

    def with_own(self, tables: Iterable[Mapping[str, Any]]) -> Catalogue:
        """The user's rows on top. One with the id of a built-in row can only switch that row on or off, and none of
        class C. Raises RowError."""
        rows = {row.id: row for row in self.rows}
        own = set[str]()
        for number, table in enumerate(tables, 1):
            row_id = table.get("id")
            name = f"[[boilerplate]] {number}" + (f" (`{row_id}`)" if row_id else "")
            if row_id in own:
                raise RowError(f"{name} is there twice")
            if row_id in rows:
                rows[row_id] = _switched(rows[row_id], table, name)
            else:
                row = Row.read(table, name)
                rows[row.id] = row
            own.add(str(row_id))
        return Catalogue(tuple(rows.values()))


def _switched(row: Row, table: Mapping[str, Any], name: str) -> Row:
    if table.keys() != {"id", "enabled"} or not isinstance(table["enabled"], bool):
        raise RowError(
            f"{name} has the name of a built-in row, of which only `enabled` can be set: choose another name"
        )
    if row.kind == "C":
        raise RowError(f"{name} is of class C, which is never touched: it cannot be changed")
    return replace(row, enabled=table["enabled"])


@cache
def built_in() -> Catalogue:
    table = tomllib.loads(files("sidecar.boilerplate").joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return Catalogue(tuple(Row.read(row, f"catalogue.toml, `{row.get('id')}`") for row in table["boilerplate"]))


def checked_rows(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The user's tables as they are, for a settings' validator. Raises RowError, which is a ValueError."""
    built_in().with_own(tables)
    return tables


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(_text(one) for one in values)


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise TypeError
    return frozenset(_text(one) for one in value)


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _one_of(allowed: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in allowed:
            raise ValueError
        return str(value)

    return read


def _roles(value: object) -> frozenset[str]:
    roles = _names(value)
    if not roles or roles - set(ROLES):
        raise ValueError
    return roles


TEXTS: Final = "a text or a list of texts"
FIELDS: Final[Mapping[str, tuple[str, str, Callable[[object], Any]]]] = {
    "id": ("id", "a name", _text),
    "clients": ("clients", 'a list of clients such as ["cline"]', _names),
    "begin": ("begin", TEXTS, _texts),
    "end": ("end", TEXTS, _texts),
    "before": ("before", "a text", _text),
    "whole": ("whole", "true or false", _switch),
    "zone": ("zone", '"messages" or "system"', _one_of(ZONES)),
    "roles": ("roles", 'a list of "user" and "system"', _roles),
    "results": ("results", "true or false", _switch),
    "class": ("kind", '"A", "B" or "C"', _one_of(CLASSES)),
    "numbers": ("numbers", "true or false", _switch),
    "drop": ("drop", TEXTS, _texts),
    "enabled": ("enabled", "true or false", _switch),
    "note": ("note", "a text", str),
}
"""A row's fields as they are written: the attribute, what is allowed, and how it is read."""
