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
