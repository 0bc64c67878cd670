"""The filter language of the requests, like mitmproxy's: `~m opus & ~c miss & !(~s 200 | ~p web)`.

A word alone is looked for everywhere; `~letter value` looks into one field. `!` is not, `&` (or nothing) is and, `|` is
or, parentheses group. Text is looked for without case; quotes keep spaces in. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tui.request_row import RequestRow

Matches = Callable[[RequestRow], bool]


@dataclass(frozen=True, slots=True)
class Operator:
    """`~letter value`; without `takes` there is no value."""

    letter: str
    takes: str
    told: str
    """For the help screen."""
    make: Callable[[str], Matches]
    """Raises ValueError for a value that it cannot take."""


class FilterError(ValueError):
    """`position` is where in the text, from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def _text(get: Callable[[RequestRow], str]) -> Callable[[str], Matches]:
    def make(value: str) -> Matches:
        wanted = value.casefold()
        return lambda row: wanted in get(row).casefold()

    return make


_COMPARED: Final = re.compile(r"(<=|>=|<|>|=)?\s*(\d+(?:\.\d+)?)\s*([a-zA-Z%]*)")
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "=": lambda one, other: one == other,
}


def _number(get: Callable[[RequestRow], float | None], units: dict[str, float]) -> Callable[[str], Matches]:
    """`>5s`, `<=100k`; a number alone is the least."""

    def make(value: str) -> Matches:
        found = _COMPARED.fullmatch(value.strip().removeprefix("$"))
        if found is None or found[3].lower() not in units:
            raise ValueError(f"a number such as >=10{max(units, key=len)}")
        compare, limit = _COMPARE[found[1] or ">="], float(found[2]) * units[found[3].lower()]

        def matches(row: RequestRow) -> bool:
            number = get(row)
            return number is not None and compare(number, limit)

        return matches

    return make


def _status(value: str) -> Matches:
    """`429`, `5xx` or a state."""
    wanted = value.casefold()
    if re.fullmatch(r"[1-5](xx|\d\d)", wanted):
        return lambda row: str(row.status).startswith(wanted.rstrip("x"))
    states = ("running", "ok", "failed", "left", "unseen")
    if not any(state.startswith(wanted) for state in states):
        raise ValueError(f"a status (429, 5xx) or one of {', '.join(states)}")
    return lambda row: row.state.startswith(wanted)


_EVERYTHING: Final = (
    "id",
    "project",
    "client",
    "conversation",
    "model_asked",
    "model",
    "route_reason",
    "state",
    "error",
    "stop_reason",
)


def _caches(row: RequestRow) -> str:
    """What the table says of them: a request that our own cache could not answer is no miss of Claude's."""
    return row.prompt_cache if row.cache == "MISS" else row.cache


def everywhere(row: RequestRow) -> str:
    """All words of a row."""
    words = (str(value) for name in _EVERYTHING if (value := getattr(row, name)))
    return "\n".join((*words, _caches(row)))


_TIME_UNITS: Final = {"": 1000.0, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_TOKEN_UNITS: Final = {"": 1.0, "k": 1000.0, "m": 1_000_000.0}
_MONEY_UNITS: Final = {"": 1e12, "c": 1e10, "usd": 1e12}


def _models(row: RequestRow) -> str:
    return f"{row.model_asked}\n{row.model}"


def _troubles(row: RequestRow) -> str:
    return f"{row.error or ''}\n{row.miss.cause if row.miss is not None else ''}"


OPERATORS: Final = (
    Operator("m", "TEXT", "model, as asked for or as it answered", _text(_models)),
    Operator("p", "TEXT", "project", _text(lambda row: row.project)),
    Operator("t", "TEXT", "tool (client)", _text(lambda row: row.client)),
    Operator("v", "TEXT", "conversation", _text(lambda row: row.conversation)),
    Operator("r", "TEXT", "reason of the routing", _text(lambda row: row.route_reason)),
    Operator("c", "TEXT", "caches: hit, miss, partly, new, joined", _text(_caches)),
    Operator("s", "STATUS", "status (429, 5xx) or state: running, ok, failed, left, unseen", _status),
    Operator("x", "TEXT", "error, or why a cache missed", _text(_troubles)),
    Operator("i", "NUMBER", "tokens in, as >100k", _number(lambda row: row.prompt_tokens, _TOKEN_UNITS)),
    Operator("o", "NUMBER", "tokens out, as >1k", _number(lambda row: row.output_tokens, _TOKEN_UNITS)),
    Operator("$", "NUMBER", "cost in dollars, as >0.10 or >5c", _number(lambda row: row.cost_picos, _MONEY_UNITS)),
    Operator("g", "NUMBER", "saved (gained) in dollars", _number(lambda row: row.saved_picos, _MONEY_UNITS)),
    Operator("f", "NUMBER", "time to the first byte, as >2s", _number(lambda row: row.first_byte_ms, _TIME_UNITS)),
    Operator("d", "NUMBER", "duration, as >10s", _number(lambda row: row.duration_ms, _TIME_UNITS)),
    Operator("l", "LAYER", "a layer that saved or cost something", lambda value: _layer(value)),
    Operator("e", "", "errors only", lambda _: lambda row: row.state == "failed"),
    Operator("y", "", "those that were tried again", lambda _: lambda row: row.retries > 0),
)  # fmt: skip

_BY_LETTER: Final = {operator.letter: operator for operator in OPERATORS}


def _layer(value: str) -> Matches:
    wanted = value.casefold().replace(" ", "_")
    return lambda row: any(wanted in layer for layer in row.saved_by)


_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<sign>[()!&|]) | ~(?P<letter>\S) | "(?P<quoted>(?:[^"\\]|\\.)*)"
          | (?P<word>[^\s()!&|~"][^\s()&|]*) )""",
    re.VERBOSE,
)
DEEPEST: Final = 50
LONGEST: Final = 1_000
"""Characters. What is longer was pasted by mistake: each row would be searched for each of its words."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse(text: str) -> Matches:
    """What the text asks for; everything where it is empty. Raises FilterError."""
    if len(text) > LONGEST:
        raise FilterError(f"a filter has {LONGEST:,} characters at most, and this one {len(text):,}", LONGEST)
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    parser = _Parser(tokens, len(text))
    matches = parser.either(0)
    if (rest := parser.next()) is not None:
        raise FilterError(f"`{rest.text}` is not expected here", rest.position)
    return matches


def _tokens(text: str) -> list[_Token]:
    found, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            at = end - len(text[position:end].lstrip())
            raise FilterError("a quote is not closed" if text[at] == '"' else "this makes no sense", at)
        kind = match.lastgroup or ""
        value = re.sub(r"\\(.)", r"\1", match[kind]) if kind == "quoted" else match[kind]
        found.append(_Token(kind, value, match.start(kind)))
        position = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens = tokens
        self._place = 0
        self._end = end

    def next(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def either(self, depth: int) -> Matches:
        parts = [self.both(depth)]
        while self._takes("|"):
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def both(self, depth: int) -> Matches:
        parts = [self.one(depth)]
        while (token := self.next()) is not None and not (token.kind == "sign" and token.text in "|)"):
            self._takes("&")
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def one(self, depth: int) -> Matches:
        if depth > DEEPEST:
            raise FilterError("too many parentheses", self._end)
        token = self._take("something to look for")
        if token.kind in {"word", "quoted"}:
            wanted = token.text.casefold()
            return lambda row: wanted in everywhere(row).casefold()
        if token.kind == "letter":
            return self._operator(token)
        if token.text == "!":
            matches = self.one(depth + 1)
            return lambda row: not matches(row)
        if token.text == "(":
            matches = self.either(depth + 1)
            if not self._takes(")"):
                raise FilterError("a parenthesis is not closed", token.position)
            return matches
        raise FilterError(f"`{token.text}` is not expected here", token.position)

    def _operator(self, token: _Token) -> Matches:
        operator = _BY_LETTER.get(token.text)
        if operator is None:
            known = " ".join(f"~{letter}" for letter in _BY_LETTER)
            raise FilterError(f"there is no ~{token.text}; there are {known}", token.position)
        if not operator.takes:
            return operator.make("")
        value = self._take(f"a value behind ~{token.text}")
        if value.kind not in {"word", "quoted"}:
            raise FilterError(f"~{token.text} takes a value: {operator.told}", value.position)
        try:
            return operator.make(value.text)
        except ValueError as error:
            raise FilterError(f"~{token.text} takes {error}", value.position) from error

    def _take(self, wanted: str) -> _Token:
        token = self.next()
        if token is None:
            raise FilterError(f"{wanted} is missing", self._end)
        self._place += 1
        return token

    def _takes(self, sign: str) -> bool:
        token = self.next()
        if token is None or token.kind != "sign" or token.text != sign:
            return False
        self._place += 1
        return True
