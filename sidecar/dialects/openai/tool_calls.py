"""The calls in an assistant message: `tool_calls`, the older `function_call`, and their arguments as objects."""

from __future__ import annotations

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import array, mapping, mapping_of, text, text_of
from sidecar.errors import invalid_request
from sidecar.exact_json import loads_exactly
from sidecar.exchange import Json
from sidecar.fold import parse_input

CUSTOM_INPUT = "input"
"""The one property of the tool that stands for an OpenAI custom tool: its free-form text."""

RAW_ARGUMENTS = "arguments"
"""Where arguments go that are no JSON object: whole, as the one string they were."""


def uses_of(message: Json, path: str, notes: Notes) -> list[Json]:
    """The calls as `tool_use` blocks, with the client's ids (None in the older form, which has none) and names."""
    uses = []
    if listed := message.get("tool_calls"):
        for index, entry in enumerate(array(listed, f"{path}.tool_calls")):
            uses.append(_use(entry, f"{path}.tool_calls[{index}]", notes))
    if (legacy := message.get("function_call")) is not None:
        path += ".function_call"
        uses.append(_function_use(None, mapping(legacy, path), path, notes))
    return uses


def _use(entry: object, path: str, notes: Notes) -> Json:
    entry = mapping(entry, path)
    call_id = text_of(entry, "id", path)
    kind = entry.get("type") or "function"
    if kind == "function":
        return _function_use(call_id, mapping_of(entry, "function", path), path, notes)
    if kind == "custom":
        custom = mapping_of(entry, "custom", path)
        words = text_of(custom, "input", path)
        return {
            "type": "tool_use",
            "id": call_id,
            "name": text_of(custom, "name", path),
            "input": {CUSTOM_INPUT: words},
        }
    raise invalid_request(
        f"{path}.type: calls are of type function or custom, not {str(kind)[:60]!r}.", param=f"{path}.type"
    )


def _function_use(call_id: str | None, function: Json, path: str, notes: Notes) -> Json:
    name = text_of(function, "name", path)
    return {
        "type": "tool_use",
        "id": call_id,
        "name": name,
        "input": arguments_of(function.get("arguments"), path, notes),
    }


def arguments_of(arguments: object, path: str, notes: Notes) -> Json:
    """The input of a call whose arguments came as JSON text."""
    if type(arguments) is dict:
        return arguments
    if not arguments and (arguments is None or arguments == ""):
        return {}
    words = text(arguments, path)
    try:
        parsed = loads_exactly(words)
        if type(parsed) is dict:
            return parsed
    except ValueError:
        pass
    notes.add(path, "repaired", f"arguments that are no JSON object, passed on whole as {RAW_ARGUMENTS!r}")
    return {RAW_ARGUMENTS: words}


def custom_input(arguments: str) -> str:
    """The one string of a custom tool; arguments that do not hold it are shown as they are."""
    value = parse_input(arguments)
    text = value.get(CUSTOM_INPUT) if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments
