"""One request as the dashboard knows it: the sidecar's row, parsed once and kept small.

A hundred thousand of them are kept, so a row is three pointers: its id, the words that many rows share, and its numbers
as packed bytes. What it says is read out of those when somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isnan, nan
from operator import itemgetter
from struct import Struct
from typing import Any, Final, Literal, cast

State = Literal["running", "ok", "failed", "left", "unseen"]

UNSEEN: Final = "its end was not seen here"


@dataclass(frozen=True, slots=True)
class Miss:
    """Why Claude's prompt cache did not hold."""

    ours: bool
    cause: str
    tokens: int
    cost_picos: int


WORDS: Final = (
    "state", "kind", "dialect", "stream", "project", "client", "conversation", "model_asked", "model", "route_reason",
    "cache", "prompt_cache", "estimated", "status", "error", "stop_reason", "retries", "has_body", "via",
)  # fmt: skip
"""Fields of few different values: rows that agree in all of them share them."""
COUNTS: Final = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "thinking_tokens", "removed_tokens",
    "cost_picos", "baseline_picos", "saved_picos",
)  # fmt: skip
TIMES: Final = ("time", "first_byte_ms", "duration_ms", "overhead_ms")
"""Fractions; all but the first may be unknown."""

_DOUBLE: Final = Struct("<d")
_WHOLE: Final = Struct("<q")
_NUMBERS: Final = Struct(f"<{len(TIMES)}d{len(COUNTS)}q")
"""Behind them stands a whole number for each layer that saved."""
_LAYERS, _MISS = len(WORDS), len(WORDS) + 1
"""Where the shared tuple has the names of the layers, and the miss."""

Words = tuple[Any, ...]
_words_of: Final = itemgetter(*WORDS)
_counts_of: Final = itemgetter(*COUNTS)


@lru_cache(maxsize=4096)
def _shared(words: Words) -> Words:
    """The same object for equal words."""
    return words


def _word(name: str) -> Any:
    place = WORDS.index(name)

    def get(row: RequestRow) -> Any:
        return row.words[place]

    return property(get)


def _at(name: str) -> int:
    """Where a number stands in the bytes."""
    return _DOUBLE.size * (TIMES.index(name) if name in TIMES else len(TIMES) + COUNTS.index(name))


def _count(name: str) -> Any:
    place, unpack = _at(name), _WHOLE.unpack_from

    def get(row: RequestRow) -> int:
        return cast("int", unpack(row.numbers, place)[0])

    return property(get)


def _time(name: str) -> Any:
    place, unpack = _at(name), _DOUBLE.unpack_from

    def get(row: RequestRow) -> float | None:
        value = cast("float", unpack(row.numbers, place)[0])
        return None if isnan(value) else value

    return property(get)


class RequestRow:
    """Money in pico-dollars, moments in epoch seconds (UTC), durations in milliseconds, None while not known. A row is
    never changed: what is known later is another one."""

    __slots__ = ("id", "numbers", "words")

    def __init__(self, id: str, words: Words, numbers: bytes) -> None:  # noqa: A002 -- what it is called everywhere
        self.id = id
        self.words = words
        self.numbers = numbers

    state: State = _word("state")
    kind: str = _word("kind")
    dialect: str = _word("dialect")
    stream: bool = _word("stream")
    project: str = _word("project")
    client: str = _word("client")
    conversation: str = _word("conversation")
    model_asked: str = _word("model_asked")
    model: str = _word("model")
    route_reason: str = _word("route_reason")
    cache: str = _word("cache")
    """Of our cache of answers: HIT, JOINED or MISS."""
    prompt_cache: str = _word("prompt_cache")
    """How Claude's cache held what was sent before: hit, partly, miss, new or none."""
    estimated: bool = _word("estimated")
    status: int = _word("status")
    error: str | None = _word("error")
    stop_reason: str | None = _word("stop_reason")
    retries: int = _word("retries")
    has_body: bool = _word("has_body")
    via: str = _word("via")

    time: float = _time("time")
    first_byte_ms: float | None = _time("first_byte_ms")
    duration_ms: float | None = _time("duration_ms")
    overhead_ms: float | None = _time("overhead_ms")

    input_tokens: int = _count("input_tokens")
    cache_read_tokens: int = _count("cache_read_tokens")
    cache_write_tokens: int = _count("cache_write_tokens")
    output_tokens: int = _count("output_tokens")
    thinking_tokens: int = _count("thinking_tokens")
    removed_tokens: int = _count("removed_tokens")
    cost_picos: int = _count("cost_picos")
    baseline_picos: int = _count("baseline_picos")
    saved_picos: int = _count("saved_picos")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RequestRow) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"RequestRow({self.id}, {self.state})"

    def _key(self) -> tuple[str, Words, bytes]:
        return self.id, self.words, self.numbers

    @property
    def miss(self) -> Miss | None:
        return cast("Miss | None", self.words[_MISS])

    @property
    def saved_by(self) -> Mapping[str, int]:
        """What each layer saved, or cost."""
        layers = self.words[_LAYERS]
        return dict(zip(layers, _whole_numbers(len(layers)).unpack_from(self.numbers, _NUMBERS.size), strict=True))

    @property
    def prompt_tokens(self) -> int:
        """Everything the model read, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def running(self) -> bool:
        return bool(self.words[0] == "running")

    def ticked(self, tick: Mapping[str, Any]) -> RequestRow:
        """With what has changed while it streams."""
        return self._with(
            output_tokens=tick["output_tokens"], first_byte_ms=tick["first_byte_ms"], duration_ms=tick["elapsed_ms"]
        )

    def lasting(self, milliseconds: float) -> RequestRow:
        """With how long it has taken so far."""
        return self._with(duration_ms=milliseconds)

    def unseen(self) -> RequestRow:
        """Ended, and nobody knows how."""
        words = [*self.words]
        words[WORDS.index("state")], words[WORDS.index("error")] = "unseen", UNSEEN
        return RequestRow(self.id, _shared(tuple(words)), self.numbers)

    def named(self, request_id: str) -> RequestRow:
        """The same under another id."""
        return RequestRow(request_id, self.words, self.numbers)

    def _with(self, **changed: float | None) -> RequestRow:
        numbers = bytearray(self.numbers)
        for name, value in changed.items():
            form = _DOUBLE if name in TIMES else _WHOLE
            form.pack_into(numbers, _at(name), nan if value is None else value)
        return RequestRow(self.id, self.words, bytes(numbers))


@lru_cache
def _whole_numbers(count: int) -> Struct:
    return Struct(f"<{count}q")


def row_from_wire(wire: Mapping[str, Any]) -> RequestRow:
    """Fields that this dashboard does not know are left out. Raises KeyError for one that is missing."""
    miss, saved_by = wire["miss"], wire["saved_by"]
    why = None if miss is None else Miss(miss["ours"], miss["cause"], miss["tokens"], miss["cost_picos"])
    times = (wire["time"], wire["first_byte_ms"], wire["duration_ms"], wire["overhead_ms"])
    numbers = _NUMBERS.pack(*(nan if one is None else one for one in times), *_counts_of(wire))
    if saved_by:
        numbers += _whole_numbers(len(saved_by)).pack(*saved_by.values())
    return RequestRow(wire["id"], _shared((*_words_of(wire), tuple(saved_by), why)), numbers)
