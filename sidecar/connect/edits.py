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


@dataclass(frozen=True, slots=True)
class Own:
    """The tool itself writes at `path` too, beside what is put there: all of it goes on the way back."""

    path: Path


@dataclass(frozen=True, slots=True)
class Frame:
    """What every file of this kind must have: put where it is missing, and it stays where others write there too."""

    path: Path
    value: Value


Edit = Put | Drop | Own | Frame


@dataclass(frozen=True, slots=True)
class Change:
    """One edit as it was made, with what its way back needs."""

    path: Path
    was: Value | Missing
    now: Value | Missing
    made: int
    """How many segments of `path` led to something before; the rest was made for it."""
    is_owned: bool = False

    def as_json(self) -> dict[str, Any]:
        path = [{"key": part.key, "value": part.value} if isinstance(part, Item) else part for part in self.path]
        values = {name: value for name, value in (("was", self.was), ("now", self.now)) if value is not MISSING}
        return {"path": path, "made": self.made, "owned": self.is_owned, **values}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Change:
        path = tuple(Item(part["key"], part["value"]) if isinstance(part, dict) else str(part) for part in told["path"])
        return cls(path, told.get("was", MISSING), told.get("now", MISSING), int(told["made"]), bool(told["owned"]))


def applied(language: Format, text: str, edits: Iterable[Edit]) -> tuple[str, list[Change]]:
    """The text with all of them, and what changed. Raises DocumentError."""
    changes = []
    for edit in _gathered(language.read(text), edits):
        document = language.read(text)
        was = found(document, edit.path)
        made = next(
            (at for at in range(len(edit.path)) if found(document, edit.path[: at + 1]) is MISSING), len(edit.path)
        )
        match edit:
            case Frame():
                text = language.put(text, edit.path, edit.value) if was is MISSING else text
            case Own():
                changes.append(Change(edit.path, was, {}, made, is_owned=True))
            case Put() if was is MISSING or not (edit.unless_there or _same(was, edit.value)):
                text = language.put(text, edit.path, edit.value)
                changes.append(Change(edit.path, was, edit.value, made))
            case Drop() if was is not MISSING:
                text = language.remove(text, edit.path)
                changes.append(Change(edit.path, was, MISSING, made))
            case _:
                pass
    return text, changes


def _same(one: Value | Missing, other: Value) -> bool:
    """To Python True is 1."""
    return one == other and type(one) is type(other)


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
    owned = [change.path for change in changes if change.is_owned]
    for change in reversed(changes):
        if any(change.path[: len(path)] == path for path in owned if not change.is_owned):
            continue  # it goes with the rest of what is owned
        document = language.read(text)
        here = found(document, change.path)
        if here is MISSING and change.now is not MISSING:
            continue
        is_our_item = isinstance(change.path[-1], Item) and isinstance(change.was, Missing)
        if here != change.now and not (is_our_item or change.is_owned):
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
    return applied(language, "", [edit for edit in edits if isinstance(edit, Put | Frame)])[0]
