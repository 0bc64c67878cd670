"""Looks for our own markers in what the model writes into a tool call: a reference must never end up in a file.

Nothing that a marker begins with needs an escape in JSON, but a model may write any character as `\\uXXXX`; both are
seen, wherever the stream is cut.
"""

from __future__ import annotations

import re
from typing import Final

from sidecar.references.marker import PREFIX

_BEHIND_PREFIX: Final = r"(?:(?:same|these) \d{1,7} lines|as written from here on)"
"""What makes the beginning a marker: the bare prefix may stand in anybody's text."""
_LONGEST_BEHIND: Final = 27
_CUT_ESCAPE: Final = r"\\(?:u[0-9a-fA-F]{0,3})?"
"""An escape of which the end is still to come."""


def _written(character: str) -> str:
    return rf"(?:{re.escape(character)}|\\u(?i:{ord(character):04x}))"


def _beginnings() -> str:
    """Everything that more text could turn into a marker."""
    pattern = rf"[a-z0-9 ]{{0,{_LONGEST_BEHIND}}}"
    for character in reversed(PREFIX):
        pattern = rf"{_written(character)}(?:{pattern}|{_CUT_ESCAPE})?"
    return rf"(?:{pattern}|{_CUT_ESCAPE})\Z"


_MARKER: Final = re.compile("".join(map(_written, PREFIX)) + _BEHIND_PREFIX)
_BEGINNING: Final = re.compile(_beginnings())


def holds_marker(text: str) -> bool:
    """Whether a whole text, or JSON written as text, has one of our markers in it."""
    return _MARKER.search(text) is not None


class MarkerScanner:
    """Watches the arguments of one tool call, piece by piece (`partial_json`, or text).

    `feed` gives back what may be passed on: all but an end that could become a marker, at most a few dozen characters.
    Once `found` is true nothing is given back any more.
    """

    def __init__(self) -> None:
        self.found = False
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take the next piece; returns what may be passed on now."""
        text = self._held + piece
        if self.found or holds_marker(text):
            self.found, self._held = True, ""
            return ""
        beginning = _BEGINNING.search(text)
        end = len(text) if beginning is None else beginning.start()
        self._held = text[end:]
        return text[:end]

    def finish(self) -> str:
        """The call has ended; returns what was still held back."""
        held, self._held = self._held, ""
        return held
