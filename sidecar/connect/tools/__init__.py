"""Every tool that `cgw connect` knows, in the order that it shows them."""

from __future__ import annotations

import difflib
from typing import Final

from sidecar.connect.tool import Tool
from sidecar.connect.tools import aider, by_hand, claude_code, cline, codex, continue_dev, copilot, opencode, zed
from sidecar.user_errors import UserError

TOOLS: Final[tuple[Tool, ...]] = (
    claude_code.TOOL,
    opencode.TOOL,
    opencode.KILO,
    continue_dev.TOOL,
    aider.TOOL,
    zed.TOOL,
    copilot.TOOL,
    cline.TOOL,
    by_hand.ROO,
    by_hand.JETBRAINS,
    codex.TOOL,
    by_hand.CURSOR,
    by_hand.OPENAI_SDK,
    by_hand.ANTHROPIC_SDK,
)


class UnknownToolError(UserError):
    """Nothing is known by this name."""

    exit_code = 2


def tool_named(name: str) -> Tool:
    """Raises UnknownToolError."""
    names = {known: tool for tool in TOOLS for known in (tool.name, *tool.other_names)}
    wanted = name.lower().replace(" ", "-").replace("_", "-")
    if found := names.get(wanted):
        return found
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else f" It knows {', '.join(tool.name for tool in TOOLS)}."
    raise UnknownToolError(f"cgw knows no tool named {name}.{hint}")
