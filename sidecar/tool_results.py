"""Which tool a result came from: a result names its call, the call names the tool."""

from __future__ import annotations

from sidecar.exchange import Json
from sidecar.prompt import Prompt


class ToolNames:
    """Of one conversation."""

    def __init__(self, prompt: Prompt) -> None:
        self._names = {
            position.block.get("id"): position.block.get("name")
            for position in prompt.positions
            if position.kind == "tool_use"
        }

    def result(self, block: Json) -> str:
        """What a reader calls a tool's result: `result of read_file`."""
        return f"result of {self._names.get(block.get('tool_use_id')) or 'a tool'}"
