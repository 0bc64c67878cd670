"""What may be changed in a settings file, in whatever format it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from sidecar.user_errors import UserError

Scalar = str | int | bool | None
Value = Scalar | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True)
class Item:
    """The table in a list that has this value under this key."""

    key: str
    value: str

    def is_in(self, entry: object) -> bool:
        return isinstance(entry, dict) and entry.get(self.key) == self.value


Segment = str | Item
Path = tuple[Segment, ...]
"""From the root of a document to one of its values: keys, and items of lists."""


class Missing:
    """Nothing stands there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class DocumentError(UserError):
    """The text cannot be read, or cannot be changed without harm. One sentence, without the file's name."""


class Format(Protocol):
    """How one language of settings is read and changed. All methods are pure, and raise DocumentError.

    A change leaves every other byte as it is.
    """

    def read(self, text: str) -> Value | Missing:
        """The whole document; MISSING where there is none in the text."""

    def put(self, text: str, path: Path, value: Value) -> str:
        """With `value` at `path`; what stands there gives way, and what leads there is made."""

    def remove(self, text: str, path: Path) -> str:
        """Without what stands at `path`; nothing there is no error."""


def found(document: Value | Missing, path: Path) -> Value | Missing:
    """What stands at `path` in a document that was read."""
    here: Value | Missing = document
    for segment in path:
        match segment, here:
            case str(), dict():
                here = here.get(segment, MISSING)
            case Item(), list():
                here = next((entry for entry in here if segment.is_in(entry)), MISSING)
            case _:
                return MISSING
    return here


def built(path: Path, value: Value) -> Value:
    """`value` inside of all that leads to it."""
    for segment in reversed(path):
        match segment, value:
            case str(), _:
                value = {segment: value}
            case Item(key, name), dict():
                value = [{key: name, **value}]
            case _:
                value = [value]
    return value


def with_value(document: Value | Missing, path: Path, value: Value | Missing) -> Value:
    """The document that a change of its text must come to; MISSING takes out what stands there."""
    if not path:
        return None if isinstance(value, Missing) else value
    head, rest = path[0], path[1:]
    if isinstance(head, Item):
        entries = document if isinstance(document, list) else []
        if not any(head.is_in(entry) for entry in entries):
            return entries if isinstance(value, Missing) else [*entries, *_as_list(built(path, value))]
        if isinstance(value, Missing) and not rest:
            return [entry for entry in entries if not head.is_in(entry)]
        return [with_value(entry, rest, value) if head.is_in(entry) else entry for entry in entries]
    table = document if isinstance(document, dict) else {}
    if isinstance(value, Missing) and (not rest or head not in table):
        return {key: one for key, one in table.items() if key != head}
    return table | {head: with_value(table.get(head), rest, value)}


def _as_list(value: Value) -> list[Value]:
    assert isinstance(value, list)
    return value


def check(before: Value | Missing, after: Value | Missing, path: Path, value: Value | Missing) -> None:
    """Languages have more corners than their libraries: what would not read as it was meant is not written.

    Raises DocumentError.
    """
    if _bare(after) != _bare(with_value(before, path, value)):
        raise DocumentError(f"The way in which `{spelled(path)}` is written there is none that cgw can change")


def _bare(value: Value | Missing) -> object:
    """Without empty things, which are written in several ways, or not at all."""
    match value:
        case dict():
            return {key: bare for key, one in value.items() if (bare := _bare(one)) is not None} or None
        case list():
            return [_bare(one) for one in value] or None
        case Missing():
            return None
        case _:
            return value if not isinstance(value, bool) else repr(value)


def spelled(path: Path) -> str:
    """For people: `models[name=x].apiBase`."""
    return "".join(
        f"[{part.key}={part.value}]" if isinstance(part, Item) else f".{part}" if index else part
        for index, part in enumerate(path)
    )


def wrong_kind(path: Path, wanted: str) -> DocumentError:
    where = f"`{spelled(path)}`" if path else "The whole"
    return DocumentError(f"{where} is not {wanted}, and cgw replaces nothing that it does not understand")


def newline_of(text: str) -> str:
    """The line ending that new lines get: the one that the text has."""
    return "\r\n" if "\r\n" in text else "\n"
