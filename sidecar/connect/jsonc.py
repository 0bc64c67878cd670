"""JSON with comments and trailing commas, changed in place: every byte that is not meant stays."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

from sidecar.connect.document import (
    MISSING,
    DocumentError,
    Item,
    Missing,
    Path,
    Segment,
    Value,
    built,
    newline_of,
    wrong_kind,
)

DEPTH: Final = 200
"""Deeper nesting is no settings file."""

_SPACE = re.compile(r"(?:[ \t\r\n\f\v\u00a0\ufeff]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"[-+.\w]+")


@dataclass(slots=True)
class Node:
    """A value and the characters that it takes."""

    start: int
    value: Value
    end: int = 0
    members: list[Member] | None = None
    """Of an object or an array; None for what has no inside."""

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, dict)


@dataclass(slots=True)
class Member:
    """One entry of an object or of an array, whose `key` is empty."""

    start: int
    key: str
    node: Node
    comma: int | None = field(default=None)
    """Where the comma after it stands."""


class Jsonc:
    """Implements `Format`."""

    def read(self, text: str) -> Value | Missing:
        root = _parsed(text)
        return root.value if root else MISSING

    def put(self, text: str, path: Path, value: Value) -> str:
        root = _parsed(text)
        if root is None:
            return _in_an_empty_text(text, built(path, value))
        node = root
        for depth, segment in enumerate(path):
            member = _member(node, segment, path[:depth])
            if member is None:
                rest = built(path[depth + 1 :], value)
                if isinstance(segment, Item) and isinstance(rest, dict):
                    rest = {segment.key: segment.value, **rest}
                return _with_member(text, node, segment, rest)
            node = member.node
        if node.value == value and type(node.value) is type(value):
            return text
        written = _written(value, _unit(text), _indent_at(text, node.start), newline_of(text))
        return text[: node.start] + written + text[node.end :]

    def remove(self, text: str, path: Path) -> str:
        node = _parsed(text)
        parent, gone = None, None
        for depth, segment in enumerate(path):
            if node is None or (gone := _member(node, segment, path[:depth])) is None:
                return text
            parent, node = node, gone.node
        return text if parent is None or gone is None else _without_member(text, parent, gone)


def _member(node: Node, segment: Segment, path: Path) -> Member | None:
    """Where a key stands twice, the last one counts, as it does to everybody who reads the file."""
    if isinstance(segment, Item):
        if node.members is None or node.is_object:
            raise wrong_kind(path, "a list")
        return next((member for member in node.members if segment.is_in(member.node.value)), None)
    if not node.is_object:
        raise wrong_kind(path, "a table of settings")
    return next((member for member in reversed(node.members or ()) if member.key == segment), None)


# --- writing ---


def _in_an_empty_text(text: str, value: Value) -> str:
    """There may be comments in it."""
    newline = newline_of(text)
    before = text if not text or text.endswith("\n") else text + newline
    return before + _written(value, "  ", "", newline) + newline


def _with_member(text: str, parent: Node, segment: Segment, value: Value) -> str:
    newline, unit = newline_of(text), _unit(text)
    members = parent.members or []
    closing = parent.end - 1
    base = _indent_at(text, parent.start)
    if members and not _has_line_of_its_own(text, members[-1].start):
        entry = _entry(segment, value, unit, base, newline)
        last = members[-1]
        if last.comma is not None:
            return text[: last.comma + 1] + f" {entry}," + text[last.comma + 1 :]
        return text[: last.node.end] + f", {entry}" + text[last.node.end :]
    indent = _indent_at(text, members[-1].start) if members else base + unit
    entry = _entry(segment, value, unit, indent, newline)
    inside = text[:closing].rstrip(" \t\r\n")
    if not members:
        return f"{inside}{newline}{indent}{entry}{newline}{base}{text[closing:]}"
    last = members[-1]
    after = text[len(inside) : closing]
    if last.comma is not None:
        return f"{inside}{newline}{indent}{entry},{after}{text[closing:]}"
    # A comment may stand between the last value and here, so the comma and the entry go to places of their own.
    return f"{text[: last.node.end]},{inside[last.node.end :]}{newline}{indent}{entry}{after}{text[closing:]}"


def _without_member(text: str, parent: Node, gone: Member) -> str:
    members = parent.members or []
    index = next(index for index, member in enumerate(members) if member is gone)
    before = members[index - 1] if index else None
    is_last = gone.comma is None
    start, end = gone.start, gone.node.end if gone.comma is None else gone.comma + 1
    ends_its_line = re.compile(r"[ \t]*(?:\r\n|\n|\Z)").match(text, end)
    if _has_line_of_its_own(text, start) and ends_its_line:
        start -= len(_line_before(text, start))
        end = ends_its_line.end()
    elif is_last and before is not None:
        start = max(before.node.end, len(text[:start].rstrip(" \t")))
    else:
        end = re.compile(r"[ \t]*").match(text, end).end()  # type: ignore[union-attr]  # it matches the empty string
    if is_last and before is not None and before.comma is not None:
        comma = before.comma
        return text[:comma] + text[comma + 1 : start] + text[end:]
    return text[:start] + text[end:]


def _entry(segment: Segment, value: Value, unit: str, indent: str, newline: str) -> str:
    written = _written(value, unit, indent, newline)
    return written if isinstance(segment, Item) else f"{json.dumps(segment, ensure_ascii=False)}: {written}"


def _written(value: Value, unit: str, indent: str, newline: str) -> str:
    """Lists of plain values on one line, everything else on lines of its own."""
    inner = indent + unit
    match value:
        case dict() if value:
            lines = [
                f"{inner}{json.dumps(key, ensure_ascii=False)}: {_written(one, unit, inner, newline)}"
                for key, one in value.items()
            ]
            return "{" + newline + f",{newline}".join(lines) + newline + indent + "}"
        case list() if any(isinstance(one, dict | list) for one in value):
            lines = [inner + _written(one, unit, inner, newline) for one in value]
            return "[" + newline + f",{newline}".join(lines) + newline + indent + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _unit(text: str) -> str:
    """What one level is indented by: as the first indented line has it, else two blanks."""
    first = re.search(r"^([ \t]+)[^\s/*]", text, re.MULTILINE)
    return first[1] if first else "  "


def _indent_at(text: str, position: int) -> str:
    line = _line_before(text, position)
    return line[: len(line) - len(line.lstrip(" \t"))]


def _line_before(text: str, position: int) -> str:
    start = max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1
    return text[start:position]


def _has_line_of_its_own(text: str, position: int) -> bool:
    return position > 0 and not _line_before(text, position).strip(" \t") and "\n" in text[:position]


# --- reading ---


def _parsed(text: str) -> Node | None:
    """None where there is nothing but blanks and comments."""
    reader = _Reader(text)
    start = reader.skip(0)
    if start == len(text):
        return None
    root = reader.value(start, DEPTH)
    if reader.skip(root.end) != len(text):
        raise reader.error(root.end, "more follows after its end")
    return root


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def skip(self, position: int) -> int:
        """Past blanks and comments."""
        matched = _SPACE.match(self._text, position)
        return matched.end() if matched else position

    def error(self, position: int, problem: str) -> DocumentError:
        line = self._text.count("\n", 0, position) + 1
        return DocumentError(f"It is not valid JSON: {problem} (line {line})")

    def value(self, start: int, depth: int) -> Node:
        if not depth:
            raise self.error(start, "it is nested too deeply")
        match self._text[start : start + 1]:
            case "{":
                return self._inside(Node(start, {}, members=[]), "}", depth)
            case "[":
                return self._inside(Node(start, [], members=[]), "]", depth)
            case '"':
                string = self._string(start)
                return Node(start, json.loads(string, strict=False), start + len(string))
            case _:
                word = _WORD.match(self._text, start)
                try:
                    return Node(start, json.loads(word[0] if word else ""), word.end() if word else start)
                except ValueError:
                    raise self.error(start, "a value is missing or misspelt") from None

    def _string(self, start: int) -> str:
        matched = _STRING.match(self._text, start)
        try:
            json.loads(matched[0] if matched else "")
        except ValueError:
            raise self.error(start, "a string does not end or has a wrong escape") from None
        return matched[0] if matched else ""

    def _inside(self, node: Node, closing: str, depth: int) -> Node:
        members = node.members = []
        position = self.skip(node.start + 1)
        while self._text[position : position + 1] != closing:
            if members and members[-1].comma is None:
                raise self.error(position, "a comma is missing, or the end")
            member = self._one_member(node, position, depth)
            members.append(member)
            position = self.skip(member.node.end)
            if self._text[position : position + 1] == ",":
                member.comma = position
                position = self.skip(position + 1)
        node.end = position + 1
        return node

    def _one_member(self, node: Node, start: int, depth: int) -> Member:
        if isinstance(node.value, list):
            inner = self.value(start, depth - 1)
            node.value.append(inner.value)
            return Member(start, "", inner)
        if self._text[start : start + 1] != '"':
            raise self.error(start, "a key in quotes is missing, or the end")
        string = self._string(start)
        colon = self.skip(start + len(string))
        if self._text[colon : colon + 1] != ":":
            raise self.error(colon, "a colon is missing")
        inner = self.value(self.skip(colon + 1), depth - 1)
        key = json.loads(string)
        assert isinstance(node.value, dict)
        node.value[key] = inner.value
        return Member(start, key, inner)
