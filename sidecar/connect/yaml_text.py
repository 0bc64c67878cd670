"""YAML changed in place: ruamel.yaml says where things stand, and every byte that is not meant stays."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sidecar.connect.document import (
    MISSING,
    DocumentError,
    Item,
    Missing,
    Path,
    Segment,
    Value,
    built,
    check,
    found,
    newline_of,
    spelled,
    wrong_kind,
)

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

_PLAIN = re.compile(r"[A-Za-z_/](?:[\w./:@+-]*[\w/])?")
_ALIAS = re.compile(r"[ \t]*:\s+\*[^\s,\]}]+")
_WORDS_WITH_A_MEANING = re.compile(r"(?:true|false|yes|no|on|off|null|y|n)", re.IGNORECASE)


class YamlText:
    """Implements `Format` for one document of block style, with flow style inside of it."""

    def read(self, text: str) -> Value | Missing:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        if _composed(text) is None:
            return MISSING
        try:
            value: Value = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, ValueError) as error:
            raise _invalid(error) from None
        return value

    def put(self, text: str, path: Path, value: Value) -> str:
        node = _composed(text)
        if node is None:
            if not isinstance(path[0], str):
                raise wrong_kind((), "a table of settings")
            after = _appended(text, _entry(path[0], built(path[1:], value), 0), len(text))
            return self._checked(text, after, path, value)
        for depth, segment in enumerate(path):
            inner = _child(node, segment, path[:depth])
            if inner is None:
                rest = built(path[depth + 1 :], value)
                if isinstance(segment, Item) and isinstance(rest, dict):
                    rest = {segment.key: segment.value, **rest}
                return self._checked(text, _with_entry(text, node, segment, rest), path, value)
            if _is_null(inner) and depth < len(path) - 1:
                return self._checked(text, _filled(text, node, inner, path[depth:], value), path, value)
            node = inner
        if found(self.read(text), path) == value:
            return text
        start, end = node.start_mark.index, _end(text, node)
        return self._checked(text, text[:start] + _flow(value) + text[end:], path, value)

    def remove(self, text: str, path: Path) -> str:
        node, parent = _composed(text), None
        for depth, segment in enumerate(path):
            if node is None or (inner := _child(node, segment, path[:depth])) is None:
                return text
            parent, node = node, inner
        if parent is None or node is None:
            return text
        if _is_flow(parent):
            return self._checked(text, _without_flow_entry(text, parent, node), path, MISSING)
        key = _key_of(parent, node) or node
        start = _line_start(text, key.start_mark.index)
        if not re.fullmatch(
            r"[ \t]*" if isinstance(path[-1], str) else r"[ \t]*-[ \t]+", text[start : key.start_mark.index]
        ):
            raise DocumentError(f"`{spelled(path)}` cannot be taken out by itself")
        after = text[:start] + text[_line_end(text, _end(text, node)) :]
        return self._checked(text, after, path, MISSING)

    def _checked(self, before: str, after: str, path: Path, value: Value | Missing) -> str:
        check(self.read(before), self.read(after), path, value)
        return after


# --- reading ---


def _composed(text: str) -> Node | None:
    """None where there is nothing but blanks and comments."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        node: Node | None = YAML(typ="rt", pure=True).compose(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise _invalid(error) from None
    return node


def _invalid(error: Exception) -> DocumentError:
    mark = getattr(error, "problem_mark", None)
    where = f" (line {mark.line + 1})" if mark is not None else ""
    problem = getattr(error, "problem", None) or type(error).__name__
    return DocumentError(f"It is not YAML that cgw can change: {problem}{where}")


def _child(node: Node, segment: Segment, path: Path) -> Node | None:
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    if isinstance(segment, Item):
        if not isinstance(node, SequenceNode):
            raise wrong_kind(path, "a list")
        wanted = (segment.key, segment.value)
        return next((one for one in node.value if wanted in _scalars(one)), None)
    if not isinstance(node, MappingNode):
        raise wrong_kind(path, "a table of settings")
    return next((value for key, value in node.value if key.value == segment), None)


def _scalars(node: Node) -> list[tuple[Any, Any]]:
    from ruamel.yaml.nodes import MappingNode

    return [(key.value, value.value) for key, value in node.value] if isinstance(node, MappingNode) else []


def _key_of(parent: Node, node: Node) -> Node | None:
    from ruamel.yaml.nodes import MappingNode

    if not isinstance(parent, MappingNode):
        return None
    found: Node = next(key for key, value in parent.value if value is node)
    return found


def _is_null(node: Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _is_flow(node: Node) -> bool:
    """`[a, b]` and `{a: b}`."""
    return bool(getattr(node, "flow_style", False))


def _count(node: Node) -> int:
    return len(node.value)


def _end(text: str, node: Node) -> int:
    """Where its last character is: ruamel counts what follows a block as part of it."""
    from ruamel.yaml.nodes import MappingNode, ScalarNode

    if isinstance(node, ScalarNode) or _is_flow(node):
        start, end = node.start_mark.index, node.end_mark.index
        return start + len(text[start:end].rstrip()) if end > start else int(start)
    children = [value for _, value in node.value] if isinstance(node, MappingNode) else node.value
    if not children:
        return int(node.end_mark.index)
    if isinstance(node, MappingNode) and (alias := _ALIAS.match(text, node.value[-1][0].end_mark.index)):
        return alias.end()  # what it stands for is elsewhere
    last = _end(text, children[-1])
    if isinstance(node, MappingNode) and last == children[-1].start_mark.index:  # `key:` with nothing behind it
        return max(last, int(node.value[-1][0].end_mark.index) + 1)
    return last


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _line_end(text: str, position: int) -> int:
    """Past the line ending, a comment on this line included."""
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


# --- writing ---


def _appended(text: str, lines: list[str], position: int) -> str:
    """Whole lines at the start of a line, or after a last line without an ending."""
    newline = newline_of(text)
    before, after = text[:position], text[position:]
    if before and not before.endswith("\n"):
        before += newline
    return before + "".join(line + newline for line in lines) + after


def _with_entry(text: str, parent: Node, segment: Segment, value: Value) -> str:
    if _is_flow(parent):
        closing = parent.end_mark.index - 1
        entry = _flow(value) if isinstance(segment, Item) else f"{_flow(segment)}: {_flow(value)}"
        inside = text[:closing].rstrip()
        comma = "" if not _count(parent) or inside.endswith(",") else ", "
        return inside + comma + entry + text[len(inside) :]
    return _appended(text, _entry(segment, value, parent.start_mark.column), _line_end(text, _end(text, parent)))


def _without_flow_entry(text: str, parent: Node, gone: Node) -> str:
    """With the comma before it, or else the one after it."""
    from ruamel.yaml.nodes import MappingNode

    entries = parent.value if isinstance(parent, MappingNode) else [(one, one) for one in parent.value]
    index = next(index for index, (_, value) in enumerate(entries) if value is gone)
    start, end = entries[index][0].start_mark.index, _end(text, gone)
    if index:
        start = _end(text, entries[index - 1][1])
    elif len(entries) > 1:
        end = entries[1][0].start_mark.index
    return text[:start] + text[end:]


def _filled(text: str, parent: Node, empty: Node, path: Path, value: Value) -> str:
    """`key:` with nothing behind it gets its first entry."""
    key = _key_of(parent, empty)
    if key is None or _is_flow(parent):
        raise wrong_kind(path[:1], "a table of settings")
    indent = parent.start_mark.column
    colon = text.index(":", key.end_mark.index) + 1
    if text[colon : _line_end(text, colon)].partition("#")[0].strip():  # `null` or `~`
        raise wrong_kind(path[:1], "a table of settings")
    lines = _entry(path[0] if isinstance(path[0], str) else "", built(path[1:], value), indent)[1:]
    return _appended(text, lines, _line_end(text, colon))


def _entry(segment: Segment, value: Value, indent: int) -> list[str]:
    """Lines for a key and its value, or for an item of a list."""
    blank = " " * indent
    match segment, value:
        case Item(), dict():
            inner = [line for key, one in value.items() for line in _entry(key, one, indent + 2)]
            return [f"{blank}- {inner[0].lstrip()}", *inner[1:]]
        case Item(), _:
            return [f"{blank}- {_flow(value)}"]
        case str(), dict() if value:
            return [
                f"{blank}{_flow(segment)}:",
                *(line for key, one in value.items() for line in _entry(key, one, indent + 2)),
            ]
        case str(), list() if any(isinstance(one, dict) for one in value):
            return [
                f"{blank}{_flow(segment)}:",
                *(line for one in value for line in _entry(Item("", ""), one, indent + 2)),
            ]
        case _:
            return [f"{blank}{_flow(str(segment))}: {_flow(value)}"]


def _flow(value: Value) -> str:
    """On one line: what needs no quotes has none, everything else is JSON, which is YAML too."""
    match value:
        case str() if _PLAIN.fullmatch(value) and not _WORDS_WITH_A_MEANING.fullmatch(value):
            return value
        case list():
            return "[" + ", ".join(_flow(one) for one in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_flow(key)}: {_flow(one)}" for key, one in value.items()) + "}"
        case _:
            return json.dumps(value, ensure_ascii=False)
