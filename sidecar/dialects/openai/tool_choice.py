"""Which tools the model may or must use: `tool_choice`, the older `function_call`, and `parallel_tool_calls`."""

from __future__ import annotations

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import array, flag, mapping, text, text_of
from sidecar.dialects.openai.server_tools import claude_name
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.dialects.openai.tools import ToolSet
from sidecar.errors import invalid_request
from sidecar.exchange import Json

_WORDS = {"none": "none", "auto": "auto", "required": "any", "any": "any"}
"""OpenAI's word -> Claude's type; `any` is Claude's own word."""


def read_tool_choice(body: Json, tools: ToolSet, names: ToolNames, notes: Notes) -> Json | None:
    """Claude's `tool_choice`; None where it would only say the default. `allowed_tools` also narrows `tools`."""
    path = "tool_choice" if body.get("tool_choice") is not None else "function_call"
    choice = body.get(path)
    parallel = body.get("parallel_tool_calls")
    one_at_a_time = parallel is not None and not flag(parallel, "parallel_tool_calls")
    one_at_a_time |= tools.legacy
    if type(choice) is dict and choice.get("disable_parallel_tool_use") is True:  # Claude's own way to say it
        one_at_a_time = True
    if not tools.definitions:
        if choice not in (None, "none", "auto"):
            notes.add(path, "dropped", "there are no tools to choose from")
        return None
    wanted: Json = {"type": "auto"} if choice is None else _wanted(choice, path, tools, names, notes)
    if one_at_a_time and wanted["type"] != "none":
        wanted["disable_parallel_tool_use"] = True
    return None if wanted == {"type": "auto"} else wanted


def _wanted(choice: object, path: str, tools: ToolSet, names: ToolNames, notes: Notes) -> Json:
    if type(choice) is str:
        return {"type": _word(choice, path)}
    choice = mapping(choice, path)
    kind = choice.get("type")
    if kind == "allowed_tools":
        return _allowed(mapping(choice.get(kind, choice), f"{path}.{kind}"), f"{path}.{kind}", tools, names, notes)
    if type(kind) is str and kind in _WORDS:
        return {"type": _WORDS[kind]}
    return {"type": "tool", "name": _named(choice, path, tools, names)}


def _allowed(allowed: Json, path: str, tools: ToolSet, names: ToolNames, notes: Notes) -> Json:
    mode = _word(text(allowed.get("mode", "auto"), f"{path}.mode"), f"{path}.mode")
    listed = [
        _named(mapping(tool, f"{path}.tools[{index}]"), f"{path}.tools[{index}]", tools, names)
        for index, tool in enumerate(array(allowed.get("tools"), f"{path}.tools"))
    ]
    if not listed:
        raise invalid_request(f"{path}.tools: at least one tool must be allowed.", param=f"{path}.tools")
    if mode == "any" and len(listed) == 1:
        return {"type": "tool", "name": listed[0]}
    kept = [tool for tool in tools.definitions if tool["name"] in listed]
    if len(kept) < len(tools.definitions):
        notes.add(path, "mapped", "only the allowed tools are sent; another choice next time costs the prompt cache")
    tools.definitions = kept
    return {"type": mode}


def _named(choice: Json, path: str, tools: ToolSet, names: ToolNames) -> str:
    """The name sent upstream for `{type, function: {name}}`, `{type, custom: {name}}`, `{type, name}`, `{name}`, or the
    type of a tool that runs at the provider."""
    kind = choice.get("type")
    hosted = claude_name(kind)
    if hosted is not None and any(tool["name"] == hosted for tool in tools.definitions):
        return hosted
    nested = choice.get(kind) if type(kind) is str else None
    holder = choice if nested is None else mapping(nested, f"{path}.{kind}")
    # OpenAI's own tools are called by their type.
    name = kind if "name" not in holder and type(kind) is str and kind in names else text_of(holder, "name", path)
    if name not in names:
        raise invalid_request(f"{path}: there is no tool named {name[:80]!r} in this request.", param=path)
    return names.upstream(name)


def _word(word: str, path: str) -> str:
    if word not in _WORDS:
        raise invalid_request(f"{path}: {word[:60]!r} is no choice; there are {', '.join(_WORDS)}.", param=path)
    return _WORDS[word]
