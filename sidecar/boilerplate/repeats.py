"""Verbatim repeats of instructions, told by a short marker: the first copy stays, and the marker says how to find it.

    [cgw repeat 1f0c39a2b7, 1147 characters as above: <reminderInstructions>]

`fold` writes markers, `expand` gives back exactly what the client wrote, from the request as it was sent and nothing
else. A marker carries a checksum of everything in its text up to its end, so that words that only look like a marker
stay what they are; a client's text that really reads as a folded one is prefixed by a line that says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from sidecar.boilerplate.segments import Segment
from sidecar.conversation import texts_of, with_texts
from sidecar.exchange import Json

INTRO: Final = "[cgw repeat "
MARKER: Final = re.compile(
    r"\[cgw repeat ([0-9a-f]{10}), (\d{1,7}) characters as above(?: \(with (\d+(?:, \d+)*)\))?: ([^\]\n]{8,40})\]"
)
AS_WRITTEN_INTRO: Final = "[cgw as written "
AS_WRITTEN: Final = re.compile(r"\[cgw as written ([0-9a-f]{10})\]\n")
LONGEST_HEAD: Final = 40
SHORTEST_HEAD: Final = 8
CLEARLY_SHORTER: Final = 2
"""A repeat is at least so many times as long as its marker."""

_NUMBER = re.compile(r"[0-9]+")

Copies = Callable[[str], Iterable[tuple[str, int]]]
"""Earlier texts that hold some words, and where in them, the first first."""


class Folded(NamedTuple):
    text: str
    rows: tuple[str, ...]
    """Ids of the rows whose repeats were folded."""


def fold(text: str, segments: Sequence[Segment], copies: Copies) -> Folded | None:
    """The text with its repeats told by markers; None where it goes as it is.

    `segments` are those of class A, as `segments_in` gives them.
    """
    if (INTRO in text or text.startswith(AS_WRITTEN_INTRO)) and unfold(text, copies) != text:
        return Folded(f"{AS_WRITTEN_INTRO}{_checksum(text)}]\n{text}", ())
    parts, rows, done = [], [], 0
    for segment in segments:
        if segment.start < done:
            continue
        if (marker := _marker(text, segment, copies)) is None:
            continue
        parts += [text[done : segment.start], marker]
        rows.append(segment.row.id)
        done = segment.end
    if not rows:
        return None
    folded = "".join([*parts, text[done:]])
    return Folded(folded, tuple(rows)) if unfold(folded, copies) == text else None


def unfold(text: str, copies: Copies) -> str:
    """The text as the client wrote it."""
    if (written := AS_WRITTEN.match(text)) and written[1] == _checksum(text[written.end() :]):
        return text[written.end() :]
    if INTRO not in text:
        return text
    parts, before, done = [], _Checksum(), 0
    for marker in MARKER.finditer(text):
        parts.append(text[done : marker.start()])
        before = before.with_text(parts[-1])
        parts.append(_repeat(before, marker, copies) or marker[0])
        before = before.with_text(parts[-1])
        done = marker.end()
    return "".join([*parts, text[done:]])


def expand(request: Json) -> Json:
    """A request as it was sent, with the repeats back in their places. Nothing but texts changes."""
    earlier: list[str] = []

    def copies(words: str) -> Iterator[tuple[str, int]]:
        for text in earlier:
            for at in places(text, words):
                yield text, at

    for block in _blocks(request.get("system")):
        earlier += texts_of(block)
    messages = []
    for message in request["messages"]:
        if message.get("role") == "assistant":
            messages.append(message)
            continue
        content = message.get("content")
        blocks = []
        for block in _blocks(content):
            texts = texts_of(block)
            whole = [unfold(text, copies) for text in texts]
            earlier += texts
            blocks.append(block if whole == texts else with_texts(block, whole))
        same = all(new is old for new, old in zip(blocks, _blocks(content), strict=True)) or isinstance(content, str)
        if isinstance(content, str) and blocks[0]["text"] != content:
            messages.append({**message, "content": blocks[0]["text"]})
        else:
            messages.append(message if same else {**message, "content": blocks})
    return {**request, "messages": messages}


def places(text: str, words: str) -> Iterator[int]:
    """Everywhere in the text, from its beginning on."""
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + len(words))


def _blocks(content: object) -> Sequence[Json]:
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    return content if isinstance(content, list) else ()


def _marker(text: str, segment: Segment, copies: Copies) -> str | None:
    """None where there is no earlier copy, or where the marker would not be clearly shorter."""
    repeated = text[segment.start : segment.end]
    head = _head(repeated, numbers=segment.row.numbers)
    if len(head) < SHORTEST_HEAD:
        return None
    for earlier, at in copies(head):
        length = _length_of_copy(earlier, at, repeated, numbers=segment.row.numbers)
        if length is None:
            continue
        numbers = _NUMBER.findall(repeated) if earlier[at : at + length] != repeated else []
        told = f" (with {', '.join(numbers)})" if numbers else ""
        marker = f"{INTRO}{_checksum(text[: segment.end])}, {length} characters as above{told}: {head}]"
        if len(marker) * CLEARLY_SHORTER <= len(repeated):
            return marker
    return None


def _head(repeated: str, *, numbers: bool) -> str:
    """The words by which the first copy is found again: without numbers where those may differ."""
    line = repeated.partition("\n")[0].partition("]")[0]
    return (_NUMBER.split(line, 1)[0] if numbers else line)[:LONGEST_HEAD].rstrip()


def _length_of_copy(earlier: str, at: int, repeated: str, *, numbers: bool) -> int | None:
    """How long the copy at that place is; None where there is none."""
    if earlier.startswith(repeated, at):
        return len(repeated)
    if not numbers:
        return None
    pattern = "[0-9]+".join(re.escape(part) for part in _NUMBER.split(repeated))
    found = re.compile(pattern).match(earlier, at)
    return found.end() - at if found else None


def _repeat(before: _Checksum, marker: re.Match[str], copies: Copies) -> str | None:
    """What a marker stands for, where its checksum says so."""
    checksum, length, numbers, head = marker.groups()
    for earlier, at in copies(head):
        repeated = earlier[at : at + int(length)]
        if numbers is not None:
            told = numbers.split(", ")
            parts = _NUMBER.split(repeated)
            if len(parts) != len(told) + 1:
                continue
            repeated = "".join(part + number for part, number in zip(parts, [*told, ""], strict=True))
        if before.with_text(repeated).hexdigest() == checksum:
            return repeated
    return None


class _Checksum:
    """Of a text that grows."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=5, person=b"cgw repeat")

    def with_text(self, text: str) -> _Checksum:
        longer = _Checksum()
        longer._hash = self._hash.copy()
        longer._hash.update(text.encode("utf-8", "surrogatepass"))
        return longer

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _checksum(text: str) -> str:
    return _Checksum().with_text(text).hexdigest()
