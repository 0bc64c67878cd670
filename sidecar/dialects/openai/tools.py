"""Tool definitions: OpenAI's functions and custom tools, the older `functions`, and Claude's own, as Claude's tools."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.dialects.openai.content import MARKS, mark_of
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import array, flag, mapping, text, text_of
from sidecar.dialects.openai.schema_limits import SchemaLimits
from sidecar.dialects.openai.schemas import InexpressibleError, restricted
from sidecar.dialects.openai.server_tools import claude_tool, is_hosted
from sidecar.dialects.openai.tool_calls import CUSTOM_INPUT
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.errors import invalid_request
from sidecar.exchange import Json

_SERVER_TOOL = re.compile(r"[a-z0-9_]+_20\d{6}")
"""Tools that Anthropic defines carry the date of their version in their type: `web_search_20260318`."""

_COMBINATORS = frozenset({"anyOf", "oneOf", "allOf"})


@dataclass(slots=True)
class ToolSet:
    """The tools of a request, as Claude takes them."""

    definitions: list[Json] = field(default_factory=list)
    custom: set[str] = field(default_factory=set)
    """Names sent upstream that stand for OpenAI custom tools: their input is one string, `CUSTOM_INPUT`."""
    legacy: bool = False
    """The client speaks the form of 2023: it reads `function_call`, which has room for one call."""


def read_tools(
    listed: Sequence[tuple[Json, str]], names: ToolNames, limits: SchemaLimits, notes: Notes, *, legacy: bool = False
) -> ToolSet:
    """The tools of a request, each with its path. Raises GatewayError (400) for what is no tool.

    The first tools are held to their schemas as far as the limits go: so a tool that is added later changes none.
    """
    tools = ToolSet(legacy=legacy)
    tools.definitions += {tool["name"]: tool for tool in _hosted(listed, notes)}.values()
    for hosted in tools.definitions:
        names.reserve(hosted["name"])
    first: dict[str, Json] = {}
    for definition, path in listed:
        if is_hosted(definition.get("type")):
            continue
        tool, is_custom = _tool(definition, path, limits, notes)
        name = tool["name"]
        if name not in first:
            first[name] = tool
            sent = names.upstream(name)
        elif tool == first[name] | {"name": name}:
            notes.add(path, "ignored", "a tool defined twice in the same words")
            continue
        else:
            sent = names.another(name, json.dumps(tool))
        if sent != name:
            notes.add(path, "mapped", f"the name {name[:80]!r} is sent as {sent!r} and mapped back in the answer")
            tool["name"] = sent
        if is_custom:
            tools.custom.add(sent)
        tools.definitions.append(tool)
    return tools


def synthesised(name: str) -> list[Json]:
    """A definition for a history that has calls where the request no longer brings tools, which Claude refuses.

    Only of the first tool that was called: Claude wants tools to be there, not each of them, and one more with every
    new name would change the head of the prompt and make the whole prefix cold.
    """
    return [{"name": name, "description": "Used earlier in this conversation.", "input_schema": _empty_schema()}]


def _empty_schema() -> Json:
    return {"type": "object", "properties": {}}


def _hosted(listed: Iterable[tuple[Json, str]], notes: Notes) -> Iterator[Json]:
    """Those that run at the provider. Their names are Claude's words, so they come before the client's own."""
    for definition, path in listed:
        if is_hosted(definition.get("type")) and (tool := claude_tool(definition, path, notes)):
            yield tool


def listed_tools(body: Json) -> Iterator[tuple[Json, str]]:
    """`tools` of a request."""
    for index, tool in enumerate(array_or_none(body, "tools")):
        yield mapping(tool, f"tools[{index}]"), f"tools[{index}]"


def array_or_none(body: Json, key: str) -> list[Any]:
    value = body.get(key)
    return [] if value is None else array(value, key)


def _tool(definition: Json, path: str, limits: SchemaLimits, notes: Notes) -> tuple[Json, bool]:
    """One tool under the client's name, and whether it is a custom tool."""
    kind = definition.get("type")
    is_custom = False
    inner = definition
    if "input_schema" in definition or (type(kind) is str and _SERVER_TOOL.fullmatch(kind)):
        tool = {key: value for key, value in definition.items() if key not in MARKS}
        if "input_schema" in tool:
            tool["input_schema"] = _input_schema(tool["input_schema"], f"{path}.input_schema", notes)
    elif kind == "custom":
        inner, inner_path = _nested(definition, "custom", path)
        tool, is_custom = _custom_tool(inner, inner_path, notes), True
    elif kind == "function" or (kind is None and "function" in definition):
        inner, inner_path = _nested(definition, "function", path)
        tool = _function_tool(inner, inner_path, limits, notes)
    else:
        raise invalid_request(
            f"{path}: tools are of type function or custom, or have Claude's input_schema; got {str(kind)[:60]!r}.",
            param=f"{path}.type",
        )
    if not text_of(tool, "name", path):
        raise invalid_request(f"{path}: a tool needs a name.", param=f"{path}.name")
    mark = mark_of(definition, path) or mark_of(inner, path)
    if mark is not None:
        tool["cache_control"] = mark
    return tool, is_custom


def _nested(definition: Json, key: str, path: str) -> tuple[Json, str]:
    """What `key` holds, or the definition itself: Cursor sends the flat form of the Responses API here."""
    if key in definition:
        return mapping(definition[key], f"{path}.{key}"), f"{path}.{key}"
    return definition, path


def _function_tool(function: Json, path: str, limits: SchemaLimits, notes: Notes) -> Json:
    tool: Json = {"name": text_of(function, "name", path)}
    if (description := function.get("description")) is not None:
        tool["description"] = text(description, f"{path}.description")
    schema = _input_schema(function.get("parameters"), f"{path}.parameters", notes)
    if (strict := function.get("strict")) is not None and flag(strict, f"{path}.strict"):
        try:
            narrowed, loosened = restricted(schema)
            limits.hold_tool(narrowed)
        except InexpressibleError as fault:
            notes.add(f"{path}.strict", "changed", f"not enforced: Claude's strict tools cannot hold {fault}")
        else:
            schema, tool["strict"] = narrowed, True
            if loosened:
                notes.add(f"{path}.parameters", "changed", f"told, not enforced: {', '.join(sorted(loosened))}")
    tool["input_schema"] = schema
    return tool


def _custom_tool(custom: Json, path: str, notes: Notes) -> Json:
    """A free-form tool as one with a single string."""
    description = custom.get("description")
    words = "" if description is None else text(description, f"{path}.description")
    form = custom.get("format")
    if form is not None and mapping(form, f"{path}.format").get("type") == "grammar":
        grammar = mapping(form.get("grammar", form), f"{path}.format.grammar")
        syntax = text(grammar.get("syntax"), f"{path}.format.grammar.syntax")
        rules = text(grammar.get("definition"), f"{path}.format.grammar.definition")
        words += f"\n\n`{CUSTOM_INPUT}` must follow this {syntax} grammar:\n{rules}"
        notes.add(f"{path}.format", "changed", "the grammar is told to the model, not enforced")
    notes.add(path, "mapped", f"a custom tool, sent as one with a single string `{CUSTOM_INPUT}`")
    schema = {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string"}},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    }
    tool: Json = {"name": text_of(custom, "name", path)}
    if words:
        tool["description"] = words
    return tool | {"input_schema": schema}


def _input_schema(parameters: object, path: str, notes: Notes) -> Json:
    """The schema by reference where Claude takes it: an object, with no combinator at its root."""
    if parameters is None:
        return _empty_schema()
    schema = mapping(parameters, path)
    combined = _COMBINATORS & schema.keys()
    if schema.get("type") == "object" and not combined:
        return schema
    if schema.get("type") not in (None, "object"):
        notes.add(path, "changed", "tools take an object; the schema is sent as one")
    made = {"type": "object"} | {key: value for key, value in schema.items() if key not in combined and key != "type"}
    if type(made.setdefault("properties", {})) is not dict:
        raise invalid_request(f"{path}.properties: expected an object.", param=f"{path}.properties")
    if combined:
        notes.add(
            path, "changed", "variants at the root, which Claude refuses, are sent as one object with all properties"
        )
        made["properties"] = _all_properties(schema, combined) | made["properties"]
    return made


def _all_properties(schema: Json, combined: frozenset[str]) -> Json:
    found: Json = {}
    for key in sorted(combined):
        for variant in schema[key] if type(schema[key]) is list else []:
            if type(variant) is dict and type(variant.get("properties")) is dict:
                found |= variant["properties"]
    return found
