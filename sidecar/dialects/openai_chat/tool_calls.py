"""The calls in an assistant message: `tool_calls`, the older `function_call`, and their arguments as objects."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import orjson

from sidecar.dialects.openai_chat.notes import Notes
from sidecar.dialects.openai_chat.reading import array, mapping, text
from sidecar.errors import invalid_request
from sidecar.exchange import Json

CUSTOM_INPUT = "input"
"""The one property of the tool that stands for an OpenAI custom tool: its free-form text."""

RAW_ARGUMENTS = "arguments"
"""Where arguments go that are no JSON object: whole, as the one string they were."""


class Call(NamedTuple):
    """One call as the client wrote it. `id` is None for the older `function_call`, which has none."""

    id: str | None
    name: str
    input: Json
    path: str


def calls_of(message: Json, path: str, notes: Notes) -> list[Call]:
    calls = []
    if (listed := message.get("tool_calls")) is not None:
        for index, entry in enumerate(array(listed, f"{path}.tool_calls")):
            calls.append(_call(mapping(entry, f"{path}.tool_calls[{index}]"), f"{path}.tool_calls[{index}]", notes))
    if (legacy := message.get("function_call")) is not None:
        path += ".function_call"
        calls.append(_function(None, mapping(legacy, path), path, notes))
    return calls


def _call(entry: Json, path: str, notes: Notes) -> Call:
    call_id = text(entry.get("id"), f"{path}.id")
    kind = entry.get("type") or "function"
    if kind == "function":
        return _function(call_id, mapping(entry.get("function"), f"{path}.function"), f"{path}.function", notes)
    if kind == "custom":
        custom = mapping(entry.get("custom"), f"{path}.custom")
        words = text(custom.get("input"), f"{path}.custom.input")
        return Call(call_id, text(custom.get("name"), f"{path}.custom.name"), {CUSTOM_INPUT: words}, path)
    raise invalid_request(f"{path}.type: calls are of type function or custom, not {kind!r}.", param=f"{path}.type")


def _function(call_id: str | None, function: Json, path: str, notes: Notes) -> Call:
    name = text(function.get("name"), f"{path}.name")
    return Call(call_id, name, _arguments(function.get("arguments"), f"{path}.arguments", notes), path)


def _arguments(arguments: object, path: str, notes: Notes) -> Json:
    if type(arguments) is dict:
        return arguments
    if arguments is None or arguments == "":
        return {}
    words = text(arguments, path)
    try:
        parsed = orjson.loads(words)
        if type(parsed) is dict and not (_holds_huge_number(parsed) and _holds_long_integer(words)):
            return parsed
    except ValueError:
        pass
    notes.add(path, "repaired", f"not a JSON object that keeps its meaning; passed on whole under {RAW_ARGUMENTS!r}")
    return {RAW_ARGUMENTS: words}


def _holds_huge_number(value: Any) -> bool:
    """Whether an integer may have lost digits: orjson reads those past 64 bits as floats."""
    match value:
        case dict():
            return any(map(_holds_huge_number, value.values()))
        case list():
            return any(map(_holds_huge_number, value))
        case float():
            return abs(value) >= 2.0**63
        case _:
            return False


def _holds_long_integer(words: str) -> bool:
    integers: list[str] = []
    json.loads(words, parse_int=integers.append)
    return any(not -(2**63) <= int(digits[:40]) < 2**64 for digits in integers)
