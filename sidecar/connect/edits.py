"""What is to stand in a settings file, putting it there, and taking it out again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.connect.document import MISSING, Format, Item, Missing, Path, Value, found, spelled, with_value


@dataclass(frozen=True, slots=True)
class Put:
    """`value` at `path`. With `unless_there`, what the user has there stays."""

    path: Path
    value: Value
    unless_there: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing at `path`: what would win over what is put elsewhere."""

    path: Path


Edit = Put | Drop


@dataclass(frozen=True, slots=True)
class Change:
    """One edit as it was made, with what its way back needs."""

    path: Path
    was: Value | Missing
    now: Value | Missing
    made: int
    """How many segments of `path` led to something before; the rest was made for it."""

    def as_json(self) -> dict[str, Any]:
        path = [{"key": part.key, "value": part.value} if isinstance(part, Item) else part for part in self.path]
        values = {name: value for name, value in (("was", self.was), ("now", self.now)) if value is not MISSING}
        return {"path": path, "made": self.made, **values}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Change:
        path = tuple(Item(part["key"], part["value"]) if isinstance(part, dict) else str(part) for part in told["path"])
        return cls(path, told.get("was", MISSING), told.get("now", MISSING), int(told["made"]))


def applied(language: Format, text: str, edits: Iterable[Edit]) -> tuple[str, list[Change]]:
    """The text with all of them, and what changed. Raises DocumentError."""
    changes = []
    for edit in _gathered(language.read(text), edits):
        document = language.read(text)
        was = found(document, edit.path)
        now: Value | Missing = edit.value if isinstance(edit, Put) else MISSING
        is_kept = isinstance(edit, Put) and edit.unless_there and was is not MISSING
        if is_kept or (was == now and type(was) is type(now)):
            continue
        made = next(
            (depth for depth in range(len(edit.path)) if found(document, edit.path[: depth + 1]) is MISSING), -1
        )
        text = language.put(text, edit.path, edit.value) if isinstance(edit, Put) else language.remove(text, edit.path)
        changes.append(Change(edit.path, was, now, made if made >= 0 else len(edit.path)))
    return text, changes


def _gathered(document: Value | Missing, edits: Iterable[Edit]) -> list[Edit]:
    """Everything that is put into an item that is not there yet becomes one edit: the item."""
    gathered: dict[Path, Edit] = {}
    for edit in edits:
        depth = next((at for at, part in enumerate(edit.path, 1) if isinstance(part, Item)), 0)
        head, rest = edit.path[:depth], edit.path[depth:]
        if isinstance(edit, Put) and rest and head and found(document, head) is MISSING:
            earlier = gathered.get(head)
            inside = earlier.value if isinstance(earlier, Put) else {}
            gathered[head] = Put(head, with_value(inside, rest, edit.value))
        else:
            gathered[edit.path] = edit
    return list(gathered.values())


def undone(language: Format, text: str, changes: Sequence[Change]) -> tuple[str, list[str]]:
    """The text without them, and the settings that are left because somebody has changed them since. An item that was
    made for us goes, whatever has come into it.

    Raises DocumentError.
    """
    left = []
    ours = [change.path for change in changes if change.now is not MISSING]
    for change in reversed(changes):
        document = language.read(text)
        here = found(document, change.path)
        if here is MISSING and change.now is not MISSING:
            continue
        is_our_item = isinstance(change.path[-1], Item) and isinstance(change.was, Missing)
        if here != change.now and not is_our_item:
            left.append(spelled(change.path))
        elif not isinstance(change.was, Missing):
            text = language.put(text, change.path, change.was)
        else:
            text = language.remove(text, _highest_of_ours(document, change, ours))
    return text, left


def _highest_of_ours(document: Value | Missing, change: Change, ours: Sequence[Path]) -> Path:
    """What was made for this setting goes with it, where nobody else has put something into it."""
    for depth in range(change.made, len(change.path)):
        head = change.path[: depth + 1]
        below = [path[len(head) :] for path in ours if path[: len(head)] == head]
        here = found(document, head)
        if not isinstance(here, Missing) and _is_all_ours(here, below):
            return head
    return change.path


def _is_all_ours(value: Value, below: Sequence[Path]) -> bool:
    if () in below:
        return True
    match value:
        case dict():
            return all(_is_all_ours(one, [path[1:] for path in below if path[0] == key]) for key, one in value.items())
        case list():
            return all(any(isinstance(path[0], Item) and path[0].is_in(entry) for path in below) for entry in value)
        case _:
            return False


def example(language: Format, edits: Iterable[Edit]) -> str:
    """What these settings look like in a file of their own. Raises DocumentError."""
    return applied(language, "", [edit for edit in edits if isinstance(edit, Put)])[0]
