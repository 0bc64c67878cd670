"""Small checks that compose into the shape of a request, with the paths and sentences of Anthropic's 400s.

A check takes a value and the path it stands at (`messages.3.content.0.text`) and raises ApiError or returns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sidecar.simulator.errors import ApiError

Check = Callable[[Any, str], None]


def refuse(path: str, sentence: str) -> ApiError:
    """The error for one field."""
    return ApiError(f"{path}: {sentence}" if path else sentence)


def anything(value: Any, path: str) -> None:
    """Takes every value."""


def string(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise refuse(path, "Input should be a valid string")


def boolean(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise refuse(path, "Input should be a valid boolean")


def integer(value: Any, path: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise refuse(path, "Input should be a valid integer")


def number(value: Any, path: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise refuse(path, "Input should be a valid number")


def mapping(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise refuse(path, "Input should be a valid dictionary")


def nullable(check: Check) -> Check:
    """The value may also be null."""

    def apply(value: Any, path: str) -> None:
        if value is not None:
            check(value, path)

    return apply


def one_of(*values: str) -> Check:
    quoted = [f"'{value}'" for value in values]
    listed = " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)

    def apply(value: Any, path: str) -> None:
        if value not in values:
            raise refuse(path, f"Input should be {listed}")

    return apply


def matching(pattern: str) -> Check:
    compiled = re.compile(pattern)

    def apply(value: Any, path: str) -> None:
        string(value, path)
        if compiled.fullmatch(value) is None:
            raise refuse(path, f"String should match pattern '^{pattern}$'")

    return apply


def array(item: Check) -> Check:
    def apply(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise refuse(path, "Input should be a valid list")
        for index, element in enumerate(value):
            item(element, f"{path}.{index}")

    return apply


def text_or(blocks: Check) -> Check:
    """A string, or what `blocks` takes."""

    def apply(value: Any, path: str) -> None:
        if not isinstance(value, str):
            blocks(value, path)

    return apply


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these fields and no others."""
    fields = {**required, **(optional or {})}

    def apply(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise refuse(path, "Input should be a valid dictionary or object to extract fields from")
        for name in required:
            if name not in value:
                raise refuse(_join(path, name), "Field required")
        for name, content in value.items():
            if name not in fields:
                raise refuse(_join(path, name), "Extra inputs are not permitted")
            fields[name](content, _join(path, name))

    return apply


def tagged(kinds: Mapping[str, Check], *, untagged: str | None = None) -> Check:
    """An object whose `type` names its shape; without one it is `untagged`. The tag becomes part of the path."""
    expected = ", ".join(f"'{kind}'" for kind in kinds)

    def apply(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise refuse(path, "Input should be a valid dictionary or object to extract fields from")
        tag = value.get("type") or untagged
        if tag is None:
            raise refuse(_join(path, "type"), "Field required")
        if not isinstance(tag, str) or tag not in kinds:
            sentence = f"Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}"
            raise refuse(path, sentence)
        kinds[tag](value, _join(path, tag))

    return apply


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
