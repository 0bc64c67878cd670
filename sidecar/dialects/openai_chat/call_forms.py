"""How a tool call looks to the client, whole and in pieces.

| form | opens with | then |
| --- | --- | --- |
| function | position, id, type, name | position, arguments as they come |
| custom | position, id, type, name | position, input in one piece: it is one string inside the arguments |
| function_call, the form of 2023 | name | arguments as they come; one call a message |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sidecar.dialects.openai.tool_calls import custom_input
from sidecar.exchange import Json
from sidecar.fold import input_text


@dataclass(frozen=True, slots=True)
class CallForms:
    """What the request said about the form of the calls that answer it."""

    tool_names: Mapping[str, str]
    """Names sent upstream -> the client's own, where they differ."""
    custom_tools: Collection[str] = ()
    """Names sent upstream of the tools that the client knows as custom."""
    legacy_functions: bool = False
    """The client reads `function_call`."""

    def is_custom(self, block: Json) -> bool:
        return block["name"] in self.custom_tools and not self.legacy_functions

    def whole(self, block: Json) -> Json:
        """An entry of `tool_calls`."""
        return self._call(block, input_text(block["input"]))

    def message_fields(self, blocks: list[Json]) -> Json:
        """The fields of the assistant's message that carry these `tool_use` blocks."""
        if not blocks:
            return {}
        if self.legacy_functions:
            return {"function_call": self.whole(blocks[0])["function"]}
        return {"tool_calls": [self.whole(block) for block in blocks]}

    def opening(self, block: Json, position: int) -> Json:
        """The first delta of a call."""
        call = self._call(block, "")
        return {"function_call": call["function"]} if self.legacy_functions else _delta(position, call)

    def piece(self, block: Json, position: int, text: str) -> Json:
        """A further delta: some of the arguments, or all of a custom tool's input."""
        if self.legacy_functions:
            return {"function_call": {"arguments": text}}
        if self.is_custom(block):
            return _delta(position, {"custom": {"input": text}})
        return _delta(position, {"function": {"arguments": text}})

    def _call(self, block: Json, arguments: str) -> Json:
        name = self.tool_names.get(block["name"], block["name"])
        if self.is_custom(block):
            return {"id": block["id"], "type": "custom", "custom": {"name": name, "input": custom_input(arguments)}}
        return {"id": block["id"], "type": "function", "function": {"name": name, "arguments": arguments}}


def _delta(position: int, call: Json) -> Json:
    return {"tool_calls": [{"index": position, **call}]}
