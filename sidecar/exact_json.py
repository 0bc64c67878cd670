"""JSON that can be read and written again without a loss.

orjson is fast, reads integers past 64 bits as floats and writes no more than 254 levels. What it would spoil is refused
here, so that callers can keep the text as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

DEEPEST = 200
"""Levels, with room for those of the request around it."""


def loads_exactly(text: str) -> Any:
    """Raises ValueError for what is no JSON, and for JSON that orjson could not write again as it was."""
    value = orjson.loads(text)
    if _holds_huge_number((value,)) and _holds_long_integer(text):
        raise ValueError("an integer of more than 64 bits")
    return value


def _holds_huge_number(values: Iterable[Any], depth: int = 0) -> bool:
    """Whether an integer may have lost digits."""
    if depth > DEEPEST:
        raise ValueError("nested too deep to be written again")
    for value in values:
        kind = type(value)
        if kind is float:
            if abs(value) >= 2.0**63:
                return True
        elif kind is dict or kind is list:
            inner = value.values() if kind is dict else value
            if _holds_huge_number(inner, depth + 1):
                return True
    return False


def _holds_long_integer(text: str) -> bool:
    integers: list[str] = []
    json.loads(text, parse_int=integers.append)
    return any(not -(2**63) <= int(digits[:40]) < 2**64 for digits in integers)
