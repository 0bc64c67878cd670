"""Which tool is speaking: told from its headers, else from the words of its system prompt, else from its tools' names.

Rows are tried from the top; the first that fits wins. Sources: the tools' own sources and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from sidecar.exchange import Json

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    client: str
    header: tuple[str, re.Pattern[str]] | None = None
    """Header name and the pattern its value has."""
    system: re.Pattern[str] | None = None
    """Pattern searched in the first characters of the system prompt."""
    tools: frozenset[str] = frozenset()
    """Tool names that must all be there."""


FINGERPRINTS = (
    Fingerprint("claude-code", header=("x-app", re.compile(r"^cli"))),
    Fingerprint("claude-code", header=("x-claude-code-session-id", re.compile(r"."))),
    Fingerprint("claude-code", system=re.compile(r"You are Claude Code, Anthropic's official CLI")),
    Fingerprint("roo", header=("user-agent", re.compile(r"^RooCode/"))),
    Fingerprint("cursor", header=("user-agent", re.compile(r"^Cursor/"))),
    Fingerprint("cline", system=re.compile(r"^You are Cline,")),
    Fingerprint("roo", system=re.compile(r"^You are Roo,")),
    Fingerprint("continue", system=re.compile(r"<important_rules>\n {2}You are in (chat|agent|plan) mode\.")),
    Fingerprint(
        "copilot",
        system=re.compile(r"^You are an expert AI programming assistant, working with a user in the VS Code editor"),
    ),
    Fingerprint("cursor", system=re.compile(r"You (are an AI coding assistant.*\. You )?operate in Cursor")),
    Fingerprint("zed", system=re.compile(r"^You are the Zed coding agent")),
    Fingerprint("aider", system=re.compile(r"^Act as an expert (software developer|code analyst)")),
    Fingerprint("opencode", header=("x-session-affinity", re.compile(r"."))),
    Fingerprint("opencode", system=re.compile(r"<env>\n {2}Working directory:")),
    Fingerprint("codex", header=("originator", re.compile(r"^codex"))),
    Fingerprint("codex", tools=frozenset({"shell", "apply_patch"})),
    Fingerprint("continue", tools=frozenset({"edit_existing_file", "read_file"})),
    Fingerprint("cline", tools=frozenset({"read_files", "run_commands"})),
    Fingerprint("litellm", header=("user-agent", re.compile(r"^litellm"))),
    Fingerprint("anthropic-sdk", header=("user-agent", re.compile(r"^(Async)?Anthropic/"))),
    Fingerprint("openai-sdk", header=("user-agent", re.compile(r"^(Async)?(Azure)?OpenAI/"))),
    Fingerprint("ai-sdk", header=("user-agent", re.compile(r"ai-sdk/"))),
    Fingerprint("curl", header=("user-agent", re.compile(r"^curl/"))),
)

HEADERS = tuple({row.header[0]: None for row in FINGERPRINTS if row.header is not None})
CLIENTS = 256
"""Of which it is remembered who they are: by their headers, the head of their system prompt and their tools."""

NO_TOOLS: frozenset[str] = frozenset()
SYSTEM_HEAD = 4_000
"""Characters of system text that are looked at."""


class Speaker(NamedTuple):
    """Who speaks, and what it was told from."""

    client: str
    told: tuple[str | None, ...]
    """The headers that tell."""
    system: object
    tools: object


def recognise(headers: Mapping[str, str], request: Json) -> str:
    """The client's name, or `unknown`. `request` is the inner form; header names are lower-case."""
    return speaker_of(headers, request).client


def speaker_of(headers: Mapping[str, str], request: Json, before: Speaker | None = None) -> Speaker:
    """As `recognise`. `before` spoke in the conversation's last request: with the very same system prompt and tools it
    is still the same one."""
    told = tuple([headers.get(name) for name in HEADERS])
    system, tools = request.get("system"), request.get("tools")
    if before is not None and before.system is system and before.tools is tools and before.told == told:
        return before
    return Speaker(_recognised(told, _head_of(system), _names_of(tools)), told, system, tools)


@lru_cache(CLIENTS)
def _recognised(told: tuple[str | None, ...], system: str, names: frozenset[str]) -> str:
    headers = dict(zip(HEADERS, told, strict=True))
    for row in FINGERPRINTS:
        if row.header is not None and not row.header[1].search(headers[row.header[0]] or ""):
            continue
        if row.system is not None and not (system and row.system.search(system)):
            continue
        if row.tools <= names:
            return row.client
    return UNKNOWN


def _names_of(tools: object) -> frozenset[str]:
    """On the native route nobody has looked at the request yet: anything odd counts as none."""
    if not tools:
        return NO_TOOLS
    return frozenset(
        name
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and isinstance(name := tool.get("name"), str)
    )


def _head_of(system: object) -> str:
    if isinstance(system, list):
        system = "\n".join(
            text for block in system if isinstance(block, dict) and isinstance(text := block.get("text"), str)
        )
    return system[:SYSTEM_HEAD] if isinstance(system, str) else ""
