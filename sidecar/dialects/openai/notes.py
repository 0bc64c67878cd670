"""What could not be passed on exactly, gathered while a request is read."""

from __future__ import annotations

import re

from sidecar.exchange import Note, NoteAction

_INDEX = re.compile(r"\[\d+\]")


class Notes:
    """One note for each kind of thing: a history that repeats it on every turn must not fill a response header.

    Two fields are never one kind: whoever reads the report must find every field in it.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, NoteAction, str], tuple[str, int]] = {}

    def copy(self) -> Notes:
        copied = Notes()
        copied._first = self._first.copy()
        return copied

    def add(self, path: str, action: NoteAction, detail: str) -> None:
        kind = _INDEX.sub("", path), action, detail
        first, count = self._first.get(kind, (path, 0))
        self._first[kind] = first, count + 1

    def listed(self) -> list[Note]:
        return [
            Note(path, action, detail if count == 1 else f"{detail}; {count} times")
            for (_, action, detail), (path, count) in self._first.items()
        ]
