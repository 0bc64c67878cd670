"""Bodies of requests, read only as far as they are new.

A conversation stands in a *row* of the body: `messages`, or the items of `input` in the Responses API. Its next request
repeats the last one byte for byte and goes on behind it. So what was read of the one is
found again in the other by its bytes, and with the same objects comes whatever was made of them since (`Made`): their
translation, their positions, their hashes. Nothing else finds it again, so that nothing can be found wrongly: what
`read` gives is what reading the whole body would give, whatever is remembered.

Belongs to the event loop; bounded in memory. Objects that were read once are other requests' too: nobody writes to
them.
"""

from __future__ import annotations

import re
import secrets
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson

from sidecar.exchange import Dialect, Json

if TYPE_CHECKING:
    from sidecar.clients import Speaker
    from sidecar.conversation import Flat
    from sidecar.dialects.openai.resumption import Resumption
    from sidecar.replies.request_key import Shapes
    from sidecar.written import Written

Row = Literal["messages", "input"]
ROWS: Final[tuple[Row, ...]] = ("messages", "input")
"""Of a body that has both, the first one counts."""
SHORTEST: Final = 8 * 1024
"""Bytes of a body that is worth it: a shorter one is read in less time than it takes to look for it."""
HEAD: Final = 64
"""Leading bytes that the bodies of one conversation have in common, whatever follows."""
MOST_MEMORY: Final = 32 * 1024 * 1024
MEMORY_A_BYTE: Final = 4
"""Of a body: itself, as objects, as the bytes of its positions, and as what goes to Claude."""
MEMORY_A_MESSAGE: Final = 1_500
FIRST_STEP: Final = 64
STEP: Final = 64 * 1024
"""Bytes that are compared at once, the more the longer they are the same."""

LONGEST_SCANNED: Final = 64 * 1024
"""Bytes of a body whose values are told apart one by one: a millisecond."""

_ARRAYS: Final = {row: re.compile(rb'"%b"\s*:\s*\[\s*' % row.encode()) for row in ROWS}
_FIRST_KEYS: Final = frozenset({"role", "content"})
_MESSAGE: Final = re.compile(rb'\{"(?:role|content)"')
_ESCAPE: Final = b"\\u"
_ESCAPED_KEY: Final = re.compile(rb'\{\s*"[a-z]*\\u')
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
"""What tells where a value ends, in JSON that was read."""
_STAND_IN: Final = secrets.token_hex(16)
"""What nobody writes."""
BLANKS: Final = b" \t\n\r"
_QUOTE, _OPENING, _CLOSING = b'"', b"[{", b"]}"


@dataclass(slots=True)
class Made:
    """What was made of one request, for the next one that begins like it."""

    resumption: Resumption[Any, Any] | None = None
    flat: Flat | None = None
    shapes: Shapes | None = None
    speaker: Speaker | None = None
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What a request has of an earlier one: the very same objects."""

    made: Made
    """Of the earlier request."""
    messages: int
    """How many leading messages, or items of the input, are the same."""
    beside: bool
    """Whether all the rest is the same too."""
    size: int
    """Bytes of the body that were found again."""

    def inside(self, messages: int) -> Known | None:
        """Of what was made of the body, so many leading messages of which are the same."""
        return replace(self, messages=messages) if messages else None


class Read(NamedTuple):
    """A body as JSON, whatever it is."""

    wire: Any
    row: Row = "messages"
    """Where its conversation stands: what follows is about it."""
    known: Known | None = None
    made: Made | None = None
    """Where it is kept what is made of it."""

    def of(self, row: Row) -> tuple[Known | None, Made | None]:
        """For who reads the conversation in this row."""
        return (self.known, self.made) if row == self.row else (None, None)


@dataclass(eq=False, slots=True)
class Body:
    """One body that was read."""

    raw: bytes
    wire: Json
    row: Row
    made: Made = field(default_factory=Made)
    _start: int = -1
    """Where the first message begins; -1 until somebody asked."""
    _ends: list[int] = field(default_factory=list)
    """Behind each message, as far as they were looked for."""
    _close: int = -1
    """Where their array ends; -1 until it is known."""
    is_plain: bool = True
    """False where this body's messages cannot be told by their bytes."""

    @property
    def memory(self) -> int:
        return MEMORY_A_BYTE * len(self.raw) + MEMORY_A_MESSAGE * len(self.wire[self.row])

    @property
    def likely(self) -> int:
        """How many bytes a body has that goes on from this one: all up to where the messages end. 0 where that is not
        known."""
        return max(0, self._close)

    def going_on(self, raw: bytes, on: ReadOn, known: int) -> Body:
        """The body of a later request, of which `known` messages are these."""
        return Body(raw, on.wire, self.row, _start=self._start, _ends=self._ends[:known], _close=on.close)

    def messages_in(self, size: int) -> int:
        """How many messages stand in so many leading bytes."""
        return bisect_right(self._ends, size) if self._look_through() else 0

    def read_on(self, raw: bytes, known: int) -> ReadOn | None:
        """Another body that begins with `known` of these messages. None where it cannot be told by parts: then it is to
        be read as a whole."""
        begin, beside = self._ends[known - 1], True
        close = len(raw) - (len(self.raw) - self._close)
        wire: Json
        if close >= begin and raw.endswith(memoryview(self.raw)[self._close :]):
            wire = self.wire
        else:
            beside = False
            *_, close = _ends_of_values(raw, begin)
            wire = _without_row(raw, self.row, self._start, close)
        new = raw[begin:close].strip(BLANKS)
        if new and (new[:1] != b"," or not new[1:].strip(BLANKS)):
            return None
        # As deep as it stands in the whole body: what is nested too deep there is so here. Two arrays are one that was
        # closed in between.
        if len(read := orjson.loads(b"[[%b]]" % new[1:])) != 1:
            return None
        return ReadOn({**wire, self.row: [*self.wire[self.row][:known], *read[0]]}, beside, close)

    def size_of(self, messages: int) -> int:
        """Bytes up to the end of so many messages."""
        return self._ends[messages - 1]

    def _look_through(self) -> bool:
        """Find where the messages stand; False where they cannot be told by their bytes."""
        if self.is_plain and len(self._ends) < len(self.wire[self.row]):
            try:
                is_first, known = self._start < 0, len(self._ends)
                if is_first:
                    self._start = _begin_of(self.row, self.raw)
                at = self._ends[-1] if known else self._start
                end = self._close if self._close >= 0 else len(self.raw)
                new = self.wire[self.row][known:]
                *ends, self._close = _ends_in_row(self.raw, at, end, new, is_first=is_first)
                self._ends += ends
                if is_first:
                    _without_row(self.raw, self.row, self._start, self._close)
            except ValueError:
                self.is_plain = False
            self.is_plain = self.is_plain and len(self._ends) == len(self.wire[self.row])
        return self.is_plain


class ReadOn(NamedTuple):
    """A body as JSON that begins with the messages of an earlier one."""

    wire: Json
    beside: bool
    """Whether all beside its messages is the same too."""
    close: int
    """Where their array ends."""


class Place(NamedTuple):
    """Where a body is looked for."""

    project: str
    dialect: Dialect
    head: bytes


class Bodies:
    """The newest bodies of each project and dialect, by what they begin with."""

    def __init__(self, most_memory: int = MOST_MEMORY) -> None:
        self._most_memory = most_memory
        self._memory = 0
        self._kept: OrderedDict[int, tuple[Place, Body]] = OrderedDict()
        """By the id of the body, the least recently used first."""
        self._alike: dict[Place, list[Body]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def memory(self) -> int:
        """Bytes that they take, about."""
        return self._memory

    def read(self, project: str, raw: bytes, *, dialect: Dialect = "anthropic_messages", keep: bool = True) -> Read:
        """Raises orjson.JSONDecodeError. With `keep` it is remembered for the next of its conversation. What is made of
        a body depends on its dialect, whatever else it could be read as."""
        if len(raw) < SHORTEST:
            return Read(orjson.loads(raw))
        place = Place(project, dialect, raw[:HEAD])
        before, known = self._nearest(place, raw)
        if before is not None and (found := _read_on(before, raw, known)) is not None:
            body = before.going_on(raw, found, known)
            if keep:
                self._replace(place, before, body, known)
            told = Known(before.made, known, found.beside, before.size_of(known))
            return Read(_own(found.wire, body.row), body.row, told, body.made)
        wire = orjson.loads(raw)
        if (row := _row_of(wire)) is None:
            return Read(wire)
        body = Body(raw, wire, row)
        if keep:
            self._keep(place, body)
        return Read(_own(wire, row), row, None, body.made)

    def _nearest(self, place: Place, raw: bytes) -> tuple[Body | None, int]:
        """The body that begins most like this one, and how many messages they share."""
        best: Body | None = None
        size = 0
        for body in reversed(self._alike.get(place, ())):
            if raw.startswith(memoryview(body.raw)[: size + 1]) and len(body.raw) > size:
                best, size = body, _common_bytes(body.raw, raw, body.likely)
        if best is None:
            return None, 0
        if known := best.messages_in(size):
            return best, known
        if not best.is_plain:
            self._forget(id(best))  # nothing will ever be found in it
        return None, 0

    def _replace(self, place: Place, before: Body, body: Body, known: int) -> None:
        """The later body takes the place of the earlier one, which it holds but for its end: whoever goes on from that
        finds what both share. One that goes back to the beginning is another conversation."""
        if 2 * known >= len(before.wire[before.row]):
            self._forget(id(before))
        else:
            self._kept.move_to_end(id(before))
        self._keep(place, body)

    def _keep(self, place: Place, body: Body) -> None:
        if 4 * body.memory > 3 * self._most_memory:
            return  # it would drive out all others
        self._kept[id(body)] = place, body
        self._alike.setdefault(place, []).append(body)
        self._memory += body.memory
        while self._memory > self._most_memory:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: int) -> None:
        if (kept := self._kept.pop(key, None)) is None:
            return
        place, body = kept
        self._memory -= body.memory
        alike = self._alike[place]
        alike.remove(body)
        if not alike:
            del self._alike[place]


def _row_of(wire: object) -> Row | None:
    if not isinstance(wire, dict):
        return None
    return next((row for row in ROWS if isinstance(told := wire.get(row), list) and told), None)


def _own(wire: Json, row: Row) -> Json:
    """For one request, which may be completed: what is remembered stays as it was read."""
    return {**wire, row: [*wire[row]]}


def _read_on(before: Body, raw: bytes, known: int) -> ReadOn | None:
    """Whatever is wrong with it, reading the whole body says so in its own words."""
    try:
        return before.read_on(raw, known)
    except ValueError:
        return None


def _common_bytes(one: bytes, other: bytes, likely: int = 0) -> int:
    """How many leading bytes are the same; so many as are `likely` are compared first."""
    view, end = memoryview(one), min(len(one), len(other))
    low = likely if likely <= end and other.startswith(view[:likely]) else 0
    step = FIRST_STEP
    while low < end and other.startswith(view[low : min(low + step, end)], low):
        low = min(low + step, end)
        step = min(2 * step, STEP)
    high = min(low + step, end)
    while low < high:
        middle = (low + high + 1) // 2
        if other.startswith(view[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def _begin_of(row: Row, raw: bytes) -> int:
    """Where its first message begins. Raises ValueError."""
    if (opening := _ARRAYS[row].search(raw)) is None:
        raise ValueError("there is no such array")
    return opening.end()


def _ends_in_row(raw: bytes, at: int, end: int, messages: list[Any], *, is_first: bool) -> list[int]:
    """Where the messages end that stand `at` the beginning of their array, or behind others, and at last where the
    array does, which is not behind `end`. Raises ValueError."""
    if (ends := _as_we_write(raw, at, messages, is_first=is_first)) is not None:
        return ends
    if (ends := _by_their_keys(raw, at, end, messages, is_first=is_first)) is not None:
        return ends
    if is_first and len(raw) > LONGEST_SCANNED:
        raise ValueError("it would take too long")
    return [*_ends_of_values(raw, at)]


def _as_we_write(raw: bytes, at: int, messages: list[Any], *, is_first: bool) -> list[int] | None:
    """The same where each message is written without blanks, as most clients do: then it is as long as we write it."""
    ends: list[int] = []
    for message in messages:
        if ends or not is_first:
            if raw[at : at + 1] != b",":
                return None
            at += 1
        try:
            written = orjson.dumps(message)
        except orjson.JSONEncodeError:  # it is nested too deep
            return None
        if not raw.startswith(written, at):
            return None
        at += len(written)
        ends.append(at)
    return [*ends, at] if raw[at : at + 1] == b"]" else None


def _by_their_keys(raw: bytes, at: int, end: int, messages: list[Any], *, is_first: bool) -> list[int] | None:
    """The same where every message begins with one of two keys and ends in front of a comma.

    A quote that opens a key behind a brace stands in no string, where it would be escaped. So where each message opens
    with one of two keys, and no more objects do than there are messages, those are the messages.
    """
    begins = [found.start() for found in _MESSAGE.finditer(raw, at, end)]
    odd = [one for one in messages if type(one) is not dict or next(iter(one), None) not in _FIRST_KEYS]
    plain = raw.find(_ESCAPE, at, end) < 0 or _ESCAPED_KEY.search(raw, at, end) is None
    if begins and len(begins) == len(messages) and not odd and plain:
        before = [begins[0] if is_first else _end_before(raw, begins[0])]
        before += [_end_before(raw, begin) for begin in begins[1:]]
        if before[0] == at and -1 not in before:
            return [*before[1:], *_ends_of_values(raw, begins[-1])]
    return None


def _end_before(raw: bytes, begin: int) -> int:
    """Where the message ends behind which another begins; -1 where more stands between them than a comma and a
    blank."""
    end = begin - 2 if raw[begin - 1 : begin] == b"," else begin - 3
    return end + 1 if raw[end:begin].rstrip() == b"}," else -1


def _ends_of_values(raw: bytes, at: int) -> Iterator[int]:
    """Where the objects of an array end that goes on `at`, and at last where the array itself does. Raises
    ValueError."""
    depth = 0
    for found in _TOKEN.finditer(raw, at):
        token = found[0]
        if token[:1] == _QUOTE:
            continue
        if token in _OPENING:
            depth += 1
            continue
        depth -= 1
        if depth < 0:
            yield found.start()
            return
        if not depth:
            yield found.end()
    raise ValueError("the array does not end")


def _without_row(raw: bytes, row: Row, start: int, close: int) -> Json:
    """All else that a body says. Raises ValueError where what stands between is not the row that counts: of two fields
    of one name JSON's last one does."""
    wire: Json = orjson.loads(b'%b"%b"%b' % (raw[:start], _STAND_IN.encode(), raw[close:]))
    if wire.get(row) != [_STAND_IN]:
        raise ValueError("the row stands elsewhere")
    return wire
