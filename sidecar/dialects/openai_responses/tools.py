"""The tools of a Responses request: those that both dialects know, groups of tools, and OpenAI's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import array, mapping, text_of
from sidecar.dialects.openai.schema_limits import SchemaLimits
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.dialects.openai.tools import ToolSet, read_tools
from sidecar.dialects.openai_responses.client_tools import CLIENT_TOOLS, ClientTool
from sidecar.exchange import Json

NOT_HONOURED = {"tool_search": "Claude is told of all tools at once"}
"""Tools that are only a way to tell of others."""


@dataclass(slots=True)
class ResponseTools:
    """The tools of a request, and how the items of their calls look; all by the names sent upstream."""

    tools: ToolSet
    namespaces: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Group and name of the tools that stand in one."""
    client_tools: dict[str, ClientTool] = field(default_factory=dict)


def read_response_tools(
    listed: list[tuple[Json, str]], names: ToolNames, limits: SchemaLimits, notes: Notes
) -> ResponseTools:
    """Raises GatewayError (400) for what is no tool."""
    grouped: dict[str, tuple[str, str]] = {}
    own: dict[str, ClientTool] = {}
    flat = [*_flat(listed, grouped, own, notes)]
    tools = read_tools(flat, names, limits, notes)
    return ResponseTools(
        tools,
        {names.upstream(name): path for name, path in grouped.items()},
        {names.upstream(name): tool for name, tool in own.items()},
    )


def name_in(namespace: object, name: str) -> str:
    """What a tool of a group is called where there are no groups."""
    return f"{namespace}__{name}" if isinstance(namespace, str) and namespace else name


def _flat(
    listed: list[tuple[Json, str]], grouped: dict[str, tuple[str, str]], own: dict[str, ClientTool], notes: Notes
) -> Iterator[tuple[Json, str]]:
    for definition, path in listed:
        kind = definition.get("type")
        if kind == "namespace":
            yield from _in_group(definition, path, grouped, notes)
        elif type(kind) is str and kind in CLIENT_TOOLS:
            tool = CLIENT_TOOLS[kind]
            own[tool.name] = tool
            notes.add(path, "mapped", f"sent as a tool {tool.name!r} with the arguments of a {tool.item}")
            yield tool.definition, path
        elif type(kind) is str and kind in NOT_HONOURED:
            notes.add(path, "dropped", f"{kind}: {NOT_HONOURED[kind]}")
        else:
            yield definition, path


def _in_group(group: Json, path: str, grouped: dict[str, tuple[str, str]], notes: Notes) -> Iterator[tuple[Json, str]]:
    namespace = text_of(group, "name", path)
    about = group.get("description")
    for index, tool in enumerate(array(group.get("tools"), f"{path}.tools")):
        at = f"{path}.tools[{index}]"
        name = text_of(mapping(tool, at), "name", at)
        joined = name_in(namespace, name)
        grouped[joined] = namespace, name
        told = tool.get("description")
        words = "\n\n".join(part for part in (told, about) if type(part) is str and part)
        yield tool | {"name": joined} | ({"description": words} if words else {}), at
    notes.add(path, "mapped", "a group of tools, sent as tools with its name in front of theirs")
