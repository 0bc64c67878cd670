"""What could not be passed on exactly, gathered while a request is read."""

from __future__ import annotations

from sidecar.exchange import Note, NoteAction


class Notes:
    """One note for each kind of thing: a history that repeats it on every turn must not fill a response header."""

    def __init__(self) -> None:
        self._first: dict[tuple[NoteAction, str], tuple[str, int]] = {}

    def add(self, path: str, action: NoteAction, detail: str) -> None:
        first, count = self._first.get((action, detail), (path, 0))
        self._first[action, detail] = first, count + 1

    def listed(self) -> list[Note]:
        return [
            Note(path, action, detail if count == 1 else f"{detail}; {count} times")
            for (action, detail), (path, count) in self._first.items()
        ]
