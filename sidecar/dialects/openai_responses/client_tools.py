"""OpenAI's own tools that run at the client: Claude has none that are quite like them, so each is a tool with their
arguments, and its calls are items of its own kind again.

| tool | item of a call | its arguments are in |
| --- | --- | --- |
| `local_shell` | `local_shell_call` | `action` |
| `shell` | `shell_call` | `action` |
| `apply_patch` | `apply_patch_call` | `operation` |
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sidecar.exchange import Json


class ClientTool(NamedTuple):
    name: str
    """As Claude sees it."""
    item: str
    """The type of the item of a call; that of its result has `_output` behind it."""
    holder: str
    """The item's field that has the arguments."""
    description: str
    properties: Json
    required: list[str]
    constant: Json
    """What the holder always has beside the arguments."""
    defaults: Json
    """What the holder must have, where Claude left it out."""

    @property
    def definition(self) -> Json:
        """The tool, as a function of the client's."""
        parameters = {"type": "object", "properties": self.properties, "required": self.required}
        return {"type": "function", "name": self.name, "description": self.description, "parameters": parameters}


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


def _texts(description: str) -> Json:
    return {"type": "array", "items": {"type": "string"}, "description": description}


_MILLISECONDS: Final[Json] = {"type": "integer", "description": "Give up after so many milliseconds."}

CLIENT_TOOLS: Final[dict[str, ClientTool]] = {
    "local_shell": ClientTool(
        "local_shell",
        "local_shell_call",
        "action",
        "Runs one command on the user's machine and returns what it prints.",
        {
            "command": _texts("The program and its arguments, one string each; for a shell: bash, -lc, SCRIPT."),
            "working_directory": _text("The folder to run it in."),
            "timeout_ms": _MILLISECONDS,
            "env": {"type": "object", "description": "Environment variables to set.", "additionalProperties": True},
        },
        ["command"],
        {"type": "exec"},
        {"env": {}},
    ),
    "shell": ClientTool(
        "shell",
        "shell_call",
        "action",
        "Runs shell commands, at the same time, and returns what each prints.",
        {
            "commands": _texts("Shell command lines."),
            "timeout_ms": _MILLISECONDS,
            "max_output_length": {"type": "integer", "description": "Characters of output to return at most."},
        },
        ["commands"],
        {},
        {"timeout_ms": None, "max_output_length": None},
    ),
    "apply_patch": ClientTool(
        "apply_patch",
        "apply_patch_call",
        "operation",
        "Creates, updates or deletes one file.",
        {
            "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            "path": _text("The file, relative to the root of the project."),
            "diff": _text(
                "For create_file and update_file: a diff in the V4A format. Lines begin with +, - or a blank; @@ and a "
                "line of the file lead to the place."
            ),
        },
        ["type", "path"],
        {},
        {},
    ),
}
"""By the type of the tool."""

ITEMS: Final[dict[str, ClientTool]] = {tool.item: tool for tool in CLIENT_TOOLS.values()}
"""By the type of the item of a call."""


def arguments_in(item: Json, tool: ClientTool) -> Any:
    """The arguments of a call that comes back."""
    held = item.get(tool.holder)
    if not isinstance(held, dict):
        return held
    return {name: value for name, value in held.items() if name not in tool.constant}


def holder_of(tool: ClientTool, arguments: Any) -> Any:
    """What the item of a call has in its holder."""
    return {**tool.constant, **tool.defaults, **(arguments if isinstance(arguments, dict) else {})}
