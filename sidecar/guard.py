"""What stands in a prompt for text that was left out must never be written into a file.

Where a prompt carries markers of ours, the arguments of Claude's tool calls are looked through for them. In a stream,
an event whose text may be the beginning of a marker waits until the next ones tell, at most for the length of one
marker; all others pass at once, and none is changed.

Pure: events in, events out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import orjson

from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json
from sidecar.sse import ServerSentEvent

MARKERS: Final[Mapping[str, tuple[str, ...]]] = {
    "file_references": ("[cgw: ",),
    "boilerplate": ("[cgw repeat ", "[cgw as written ", "[cgw cut: "),
    "size_limits": ("[cgw cut: ",),
    "context_pruning": ("[cgw cut: ",),
    "prefix_repair": ("[Amendment 000000 to ",),
}
"""How the markers of each layer begin; a 0 is any digit. All of it is ASCII that JSON writes as it is."""

LONGEST_SPELLING: Final = 6
r"""Characters in which JSON may write one: `\u005b`."""
LONGEST: Final = LONGEST_SPELLING * max(len(marker) for markers in MARKERS.values() for marker in markers)
"""The most that waits: characters."""

ARGUMENTS: Final = ("input_json_delta", "partial_json")
WORDS: Final = ("text_delta", "text")
"""Kind of a delta and the field of its text."""

LAST: Final = frozenset({b"message_delta", b"message_stop"})
"""Events behind which no block goes on."""

_FIRST_CHARACTER: Final = re.compile(r"\[|\\(?=u|\Z)")
"""Of every marker, in every spelling."""
_ESCAPE: Final = re.compile(r"\\u00([2-7][0-9a-fA-F])")
_HALF_AN_ESCAPE: Final = re.compile(r"\\(?:u(?:0(?:0[2-7]?)?)?)?\Z")
_ANY_DIGIT: Final = str.maketrans("123456789", "000000000")


class QuotedMarkerError(Exception):
    """Claude wrote a marker of `layer` where a client would take it for text."""

    def __init__(self, layer: str, marker: str) -> None:
        super().__init__(f"{marker!r} of {layer} came back in a tool call")
        self.layer = layer
        self.marker = marker


def marker_in_arguments() -> GatewayError:
    """The end of a stream that cannot be begun anew."""
    return GatewayError(
        "api_error",
        "cgw stopped this answer: Claude wrote one of cgw's references into a tool call, where the text itself belongs."
        " Send the request again: from now on this conversation goes without references.",
        code="marker_in_arguments",
    )


def guard_of(exchange: Exchange) -> Guard | None:
    """The guard that the answer needs; None where the prompt carries no markers, so that most cost nothing."""
    if exchange.prompt is None or not exchange.prompt.edited:
        return None
    acted = {saving.layer for saving in exchange.prompt.savings()}
    layers = [layer for layer in MARKERS if layer in acted]
    # A client that names no tools takes its edits from the text: aider, the older Cline, chats that apply code blocks.
    return Guard(layers, words=not exchange.request.get("tools")) if layers else None


class Guard:
    """Looks through one answer: `feed` for one that is streamed, `check` for one that is whole."""

    def __init__(self, layers: Iterable[str], *, words: bool = False) -> None:
        """`layers` are those whose markers the prompt carries. With `words`, text counts as well as arguments."""
        self._layers = {marker: layer for layer in layers for marker in MARKERS[layer]}
        self._fields = dict([ARGUMENTS, WORDS] if words else [ARGUMENTS])
        self._kinds = [b'"%b"' % kind.encode() for kind in self._fields]
        self._blocks: dict[int, _Block] = {}
        self._waiting: deque[_Waiting] = deque()

    def feed(self, events: Iterable[ServerSentEvent]) -> list[ServerSentEvent]:
        """The events that may go on, in their order. Raises QuotedMarkerError: then nothing that still waits may."""
        for event in events:
            self._waiting.append(self._take(event))
        passed = []
        while self._waiting and self._waiting[0].may_pass:
            passed.append(self._waiting.popleft().event)
        return passed

    def passes(self, deltas: bytes) -> bool:
        """Whether it need not look at these events, which are deltas and nothing else."""
        return not self._waiting and not any(kind in deltas for kind in self._kinds)

    def check(self, message: Json) -> None:
        """Raises QuotedMarkerError."""
        for block in message.get("content") or ():
            if "input" in block:
                self._search(orjson.dumps(block["input"]).decode())
            elif block.get("type") == "text" and "text_delta" in self._fields:
                self._search(block["text"])

    def _take(self, event: ServerSentEvent) -> _Waiting:
        if event.name == b"content_block_delta":
            if any(kind in event.data for kind in self._kinds):
                return self._take_delta(event)
        elif event.name == b"content_block_start":
            if b'"input"' in event.data:  # empty as a rule, but nothing keeps a server from starting with a part of it
                self._search(event.data.decode("utf-8", "replace"))
        elif event.name == b"content_block_stop":
            self._blocks.pop(_read(event).get("index", 0), _Block()).tail = ""
        elif event.name in LAST:
            for block in self._blocks.values():
                block.tail = ""
        return _Waiting(event)

    def _take_delta(self, event: ServerSentEvent) -> _Waiting:
        wire = _read(event)
        delta = wire.get("delta") or {}
        piece = delta.get(self._fields.get(delta.get("type", ""), ""))
        if not isinstance(piece, str):
            return _Waiting(event)
        block = self._blocks.setdefault(wire.get("index", 0), _Block())
        text = block.tail + piece
        self._search(text)
        block.taken += len(piece)
        block.tail = text[self._beginning(text) :]
        return _Waiting(event, block, block.taken)

    def _search(self, text: str) -> None:
        if _FIRST_CHARACTER.search(text) is None:
            return
        plain = _plain(text)
        for marker, layer in self._layers.items():
            if marker in plain:
                raise QuotedMarkerError(layer, marker)

    def _beginning(self, text: str) -> int:
        """Where a marker begins that the end of the text breaks off; the text's length where none does."""
        for found in _FIRST_CHARACTER.finditer(text, max(0, len(text) - LONGEST)):
            begun = _plain(text[found.start() :])
            if any(marker.startswith(begun) for marker in self._layers):
                return found.start()
        return len(text)


class _Block:
    """A content block on its way."""

    def __init__(self) -> None:
        self.taken = 0
        """Characters of its text."""
        self.tail = ""
        """Its last ones, where they may be the beginning of a marker."""


class _Waiting(NamedTuple):
    event: ServerSentEvent
    block: _Block | None = None
    end: int = 0
    """Characters of the block's text up to the end of the event's."""

    @property
    def may_pass(self) -> bool:
        return self.block is None or self.end <= self.block.taken - len(self.block.tail)


def _plain(text: str) -> str:
    """The text with the ASCII that JSON escaped, without half an escape at its end, and every digit a 0."""
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), _HALF_AN_ESCAPE.sub("", text))
    return text.translate(_ANY_DIGIT)


def _read(event: ServerSentEvent) -> Json:
    """What makes no sense is for others to tell."""
    try:
        wire = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return {}
    return wire if isinstance(wire, dict) else {}
