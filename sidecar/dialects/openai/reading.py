"""Values out of a client's JSON, each checked where it is read: the wrong type is a 400 that names the field.

The `_of` forms read `holder[key]` and write the path out only for an error: most of a request is read by them.
"""

from __future__ import annotations

import math
from typing import Any

from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Json

_KINDS = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "an object"}


def unexpected(path: str, wanted: str, value: object) -> GatewayError:
    got = "nothing" if value is None else _KINDS.get(type(value), type(value).__name__)
    return invalid_request(f"{path}: expected {wanted}, got {got}.", param=path)


def text(value: object, path: str) -> str:
    if type(value) is not str:
        raise unexpected(path, "a string", value)
    return value


def text_of(holder: Json, key: str, path: str) -> str:
    value = holder.get(key)
    if type(value) is not str:
        raise unexpected(f"{path}.{key}", "a string", value)
    return value


def mapping(value: object, path: str) -> Json:
    if type(value) is not dict:
        raise unexpected(path, "an object", value)
    return value


def mapping_of(holder: Json, key: str, path: str) -> Json:
    value = holder.get(key)
    if type(value) is not dict:
        raise unexpected(f"{path}.{key}", "an object", value)
    return value


def array(value: object, path: str) -> list[Any]:
    if type(value) is not list:
        raise unexpected(path, "an array", value)
    return value


def flag(value: object, path: str) -> bool:
    if type(value) is not bool:
        raise unexpected(path, "a boolean", value)
    return value


def number(value: object, path: str, low: float, high: float) -> float:
    """A number in `low..high`; an integer stays one."""
    if type(value) is not int and type(value) is not float:
        raise unexpected(path, "a number", value)
    if not low <= value <= high:
        raise invalid_request(f"{path}: {value} is outside {low:g} to {high:g}.", param=path)
    return value


def whole(value: object, path: str, low: int, high: float = math.inf) -> int:
    """An integer in `low..high`; `100.0` counts as one, since some clients know only one kind of number."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise unexpected(path, "an integer", value)
    if not low <= value <= high:
        limits = f"at least {low}" if high == math.inf else f"{low} to {high:g}"
        raise invalid_request(f"{path}: {value} is not allowed, only {limits}.", param=path)
    return value
