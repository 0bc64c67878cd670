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


_COMMENTS = re.compile(r"(?:(?<=\n)[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))+\Z")
"""Whole lines at the end that hold no setting."""


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
        after = _with_comments_below(text, path, _with_line_endings(document.as_string(), text))
        return self._checked(text, after, path, MISSING)

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


def _with_comments_below(before: str, path: Path, after: str) -> str:
    """To tomlkit what stands between a table and the next one is part of the first. To people it need not be."""
    name = r"\s*\.\s*".join(rf"(?:{re.escape(str(part))}|[\"']{re.escape(str(part))}[\"'])" for part in path)
    headings = list(re.finditer(rf"^[ \t]*\[\s*{name}\s*[\].].*", before, re.MULTILINE))
    if not headings:
        return after
    next_one = re.compile(r"^[ \t]*\[", re.MULTILINE).search(before, headings[-1].end())
    end = next_one.start() if next_one else len(before)
    below = _COMMENTS.search(before, headings[-1].end(), end)
    rest = before[end:]
    if below is None or not after.endswith(rest):
        return after
    kept = after[: len(after) - len(rest)]
    return kept + ("" if not kept or kept.endswith("\n") else newline_of(before)) + below[0].lstrip("\r\n") + rest


def _plain(item: Any) -> Any:
    return item.unwrap() if hasattr(item, "unwrap") else item


def _with_line_endings(written: str, before: str) -> str:
    """tomlkit writes new lines as Unix has them. Where both kinds stand in a file, no line is like all others."""
    if newline_of(before) == "\n" or re.search(r"(?<!\r)\n", before):
        return written
    return re.sub(r"(?<!\r)\n", "\r\n", written)
