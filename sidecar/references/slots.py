"""The texts of a request, one by one, in the order in which Claude reads them.

`reduce` and `expand` walk the same way, so both know a text by the same things: what it is, where it came from, and the
last thing that the model said before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple

from sidecar.exchange import Json
from sidecar.references.authorship import RESULT_HEADER
from sidecar.references.marker import digest_of
from sidecar.references.sources import Origin

PATH_ARGUMENTS: Final = (
    "path",
    "file_path",
    "filePath",
    "filepath",
    "target_file",
    "relative_workspace_path",
    "filename",
    "file",
    "absolute_path",
    "notebook_path",
)
"""Where read and write tools name the file, first match first."""
LINE_ARGUMENTS: Final = (
    "start_line",
    "startLine",
    "offset",
    "start_line_one_indexed",
    "start_line_one_indexed_inclusive",
)
WHOLE_FILE_ARGUMENTS: Final = frozenset({"content", "contents", "file_text", "text"})
"""Arguments that hold a file from its first line on."""
LONGEST_NAME: Final = 20
"""Characters of a tool's name that are shown."""
_HEADER: Final = re.compile(r"\[([a-z_]+)(?: for '([^\n]*)')?\] Result:")
_READS: Final = re.compile(r"read|view|cat|open|get_file", re.IGNORECASE)


class Kind(Enum):
    """What may be done with a text."""

    SOURCE = "only referred to: the model's own words and calls, system text"
    RESULT = "a tool's result"
    WORDS = "text in the user's role"


class Slot(NamedTuple):
    """One text of a request."""

    text: str
    kind: Kind
    origin: Origin
    said: str | None
    """The last thing that the model said before: its words, or the id of its call."""
    behind_header: bool = False
    """Whether a text before it in the same message says which tool returned it."""

    @property
    def anchor(self) -> bytes:
        """Digest of the last thing that the model said before; empty where it said nothing yet."""
        return b"" if self.said is None else digest_of(self.said)


class _Call(NamedTuple):
    name: str
    path: str | None
    line: int


UNKNOWN_CALL: Final = _Call("tool", None, 1)


class Walk:
    """Goes through a request block by block; give it every block once, in order, as it is sent."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}
        self._before: Mapping[str, _Call] = {}
        """Calls of the walk that it forked from."""
        self._last_words: str | None = None
        self._message = -1
        self._header: _Call | None = None

    def fork(self) -> Walk:
        """A walk that goes on from here, while this one stays where it is. Of a fork there are no forks."""
        fork = Walk()
        fork._before = self._calls
        fork._last_words, fork._message, fork._header = self._last_words, self._message, self._header
        return fork

    def follow(self, fork: Walk) -> None:
        """Go on to where a fork of this walk is."""
        self._calls.update(fork._calls)
        self._last_words, self._message, self._header = fork._last_words, fork._message, fork._header

    def block(self, zone: str, role: str, message: int, block: Json | None) -> list[Slot]:
        """The texts of the next block; none where it is left out. `message` is the index of its message."""
        if block is None:
            return []
        if message != self._message:
            self._message, self._header = message, None
        kind = block.get("type")
        if zone == "system" or (zone == "messages" and role == "system"):
            return [Slot(text, Kind.SOURCE, Origin("the system text"), self._last_words) for text in _texts(block)]
        if zone != "messages":
            return []
        if role == "assistant":
            return self._said(block)
        if kind == "tool_result":
            return self._returned(block)
        return [self._in_user_role(text) for text in _texts(block)]

    def _said(self, block: Json) -> list[Slot]:
        texts = _texts(block)
        if texts:
            self._last_words = texts[-1]
            origin = Origin(f"your message {self._message + 1}")
            return [Slot(text, Kind.SOURCE, origin, self._last_words) for text in texts]
        if block.get("type") != "tool_use":
            return []
        call_id, name, arguments = str(block.get("id")), str(block.get("name")), block.get("input")
        self._last_words = call_id
        call = self._calls[call_id] = _call(name, arguments)
        called = f"your {_short(name)} call in message {self._message + 1}"
        origin, of_file = Origin(called), Origin(called, call.path)
        return [
            Slot(text, Kind.SOURCE, of_file if argument in WHOLE_FILE_ARGUMENTS else origin, call_id)
            for argument, text in _long_texts(arguments)
        ]

    def _returned(self, block: Json) -> list[Slot]:
        call_id = str(block.get("tool_use_id"))
        call = self._calls.get(call_id) or self._before.get(call_id) or UNKNOWN_CALL
        origin = Origin(f"{_short(call.name)} result in message {self._message + 1}")
        if call.path is not None and _READS.search(call.name):
            origin = Origin(origin.called, call.path, call.line)
        content = block.get("content")
        parts = [content] if isinstance(content, str) else [text for part in content or () for text in _texts(part)]
        return [Slot(text, Kind.RESULT, origin, self._last_words) for text in parts]

    def _in_user_role(self, text: str) -> Slot:
        header = self._header
        origin = Origin(f"user message {self._message + 1}")
        if header is not None:
            path = header.path if header.name == "read_file" else None
            origin = Origin(f"{_short(header.name)} result in message {self._message + 1}", path)
        found = _HEADER.match(text) if RESULT_HEADER.match(text) else None
        if found is not None:
            self._header = _Call(found[1], found[2], 1)
        return Slot(text, Kind.WORDS, origin, self._last_words, behind_header=header is not None)


def request_blocks(request: Json) -> Iterator[tuple[str, str, int, Json]]:
    """Zone, role, index of the message and block, of a whole request; tools have no texts and are left out."""
    for block in _blocks(request.get("system")):
        yield "system", "", -1, block
    for number, message in enumerate(request["messages"]):
        for block in _blocks(message.get("content")):
            yield "messages", message["role"], number, block


def _blocks(content: object) -> Sequence[Json]:
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    return content if isinstance(content, list) else ()


def _texts(block: object) -> list[str]:
    if isinstance(block, dict) and block.get("type") == "text" and isinstance(text := block.get("text"), str):
        return [text]
    return []


def _long_texts(value: object, argument: str = "") -> Iterator[tuple[str, str]]:
    """Every text of more than one line in a call's arguments, and the name of the argument it stands in."""
    if isinstance(value, str):
        if "\n" in value:
            yield argument, value
    elif isinstance(value, list):
        for item in value:
            yield from _long_texts(item, argument)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _long_texts(item, str(name))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _call(name: str, arguments: object) -> _Call:
    if not isinstance(arguments, dict):
        return _Call(name, None, 1)
    path = next((value for key in PATH_ARGUMENTS if isinstance(value := arguments.get(key), str) and value), None)
    if arguments.keys().isdisjoint(LINE_ARGUMENTS):
        return _Call(name, path, 1)
    line = next((value for key in LINE_ARGUMENTS if isinstance(value := arguments.get(key), int) and value > 0), 1)
    return _Call(name, path, line)
