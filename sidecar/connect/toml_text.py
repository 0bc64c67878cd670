"""TOML changed in place by tomlkit, which keeps order, comments and blanks."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from sidecar.connect.document import (
    MISSING,
    DocumentError,
    Missing,
    Path,
    Value,
    check,
    newline_of,
    spelled,
    wrong_kind,
)

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


class TomlText:
    """Implements `Format`. Lists of tables are not reached into: no tool needs it."""

    def read(self, text: str) -> Value | Missing:
        value: Value = _parsed(text).unwrap()
        return value if text.strip() else MISSING

    def put(self, text: str, path: Path, value: Value) -> str:
        document = _parsed(text)
        try:
            table = _leading_to(document, path, make=True)
            assert table is not None
            key = str(path[-1])
            if key in table and _plain(table[key]) == value:
                return text
            table[key] = value
        except ValueError as error:
            raise DocumentError(f"`{spelled(path)}` cannot be put there: {error}") from None
        return self._checked(text, _with_line_endings(document.as_string(), text), path, value)

    def remove(self, text: str, path: Path) -> str:
        document = _parsed(text)
        table = _leading_to(document, path, make=False)
        if table is None or path[-1] not in table:
            return text
        del table[str(path[-1])]
        return self._checked(text, _with_line_endings(document.as_string(), text), path, MISSING)

    def _checked(self, before: str, after: str, path: Path, value: Value | Missing) -> str:
        check(self.read(before), self.read(after), path, value)
        return after


def _parsed(text: str) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError) as error:
        raise DocumentError(f"It is not valid TOML: {error}") from None


def _leading_to(document: TOMLDocument, path: Path, *, make: bool) -> MutableMapping[str, Any] | None:
    """The table that holds the last key of `path`."""
    import tomlkit

    here: MutableMapping[str, Any] = document
    for depth, segment in enumerate(path[:-1]):
        key = str(segment)
        if key not in here:
            if not make:
                return None
            here[key] = tomlkit.table(is_super_table=depth < len(path) - 2)
        inner = here[key]
        if not isinstance(inner, MutableMapping):
            raise wrong_kind(path[: depth + 1], "a table of settings")
        here = inner
    return here


def _plain(item: Any) -> Any:
    return item.unwrap() if hasattr(item, "unwrap") else item


def _with_line_endings(written: str, before: str) -> str:
    """tomlkit writes new lines as Unix has them. Where both kinds stand in a file, no line is like all others."""
    if newline_of(before) == "\n" or re.search(r"(?<!\r)\n", before):
        return written
    return re.sub(r"(?<!\r)\n", "\r\n", written)
